//go:build ignore

/*
 * host.c - flbhost, a minimal Fluent Bit for one Go input plugin: the engine's
 * life, reload and main loop, as in src/flb_engine.c and src/flb_reload.c.
 */
#define _GNU_SOURCE
#include "api.h"
#include "append.h"
#include "command.h"
#include "engine.h"
#include "input.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "proxy.h"
#include "ring.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUMP_MS 10  /* how often a slowed output takes its share */

static struct engine *current;

static int woken_fd = -1;   /* readable after host_wake: rings, signals */
static bool commands = true; /* stdin may still have some */
static volatile sig_atomic_t got_stop, got_reload, got_cont;

/* --- signals, src/fluent-bit.c --- */

static void on_crash(int sig) {
    static const char text[] = "[host] crash: Fluent Bit's signal handler, not Go's, saw a fault\n";
    if (write(2, text, sizeof text - 1) < 0)
        _exit(4);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* As Fluent Bit does at its start and again at every SIGHUP and SIGCONT, and
 * so over the handlers that Go has put there in between. */
static void crash_handlers(void) {
    signal(SIGSEGV, on_crash);
    signal(SIGFPE, on_crash);
}

static void on_signal(int sig) {
    int saved = errno;
    if (sig == SIGHUP)
        got_reload = 1;
    else if (sig == SIGCONT)
        got_cont = 1;
    else if (got_stop++)
        _exit(128 + sig);
    host_wake();
    errno = saved;
}

static void signals(void) {
    static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGCONT};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sigaction(all[i], &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    crash_handlers();
}

/* --- main loop --- */

/* What step waits for. */
struct source {
    int fd;
    bool ready;
};

/* As Fluent Bit's engine waits: in epoll, in which plugins may look for it. */
static int wait_for(struct source *s, int n, int timeout_ms) {
    struct epoll_event ev[2 + 32];
    int fd = epoll_create1(EPOLL_CLOEXEC), ready;
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        if (epoll_ctl(fd, EPOLL_CTL_ADD, s[i].fd, &e) && errno == EPERM)
            timeout_ms = 0, s[i].ready = true; /* a plain file, which always is */
    }
    ready = epoll_wait(fd, ev, n, timeout_ms);
    for (int i = 0; i < ready; i++)
        s[ev[i].data.u32].ready = true;
    close(fd);
    return ready;
}

/* step waits for the next thing to do, at most until the time given, and does
 * it. Commands wait while take_commands is false. */
static enum request step(int64_t until, bool take_commands) {
    static int64_t next_ring, next_flush;
    struct source p[2 + 32] = {{.fd = woken_fd}};
    struct flb_input_instance *own[32];
    enum request want = REQ_NONE;
    int n = 1, owned = 0;
    uint64_t count;

    bool more = output_pump();
    command_check();
    if (output_failed)
        got_stop = 1;
    int64_t now = now_ms(), at = next_ring < next_flush ? next_ring : next_flush;
    if (until < at)
        at = until;
    if (more && now + PUMP_MS < at)
        at = now + PUMP_MS;
    /* instances without a thread live on this one */
    for (struct flb_input_instance *ins = current->first; ins && owned < 32; ins = ins->next) {
        if (ins->threaded)
            continue;
        own[owned++] = ins;
        p[n++] = (struct source){.fd = ins->epoll};
    }
    bool in = take_commands && commands && !say_failed;
    if (in)
        p[n] = (struct source){.fd = 0};
    bool pending = in && command_pending();
    if (wait_for(p, n + in, at > now && !pending ? (int)(at - now) : 0) < 0)
        return REQ_NONE;

    now = now_ms();
    bool woken = p[0].ready && read(woken_fd, &count, sizeof count) > 0;
    if (woken || now >= next_ring)
        ring_collect(current);
    if (now >= next_ring)
        next_ring = now + (opt.tick_ms + 3) / 4; /* flb_engine_start: 250 ms */
    if (now >= next_flush) {
        output_flush();
        next_flush = now + opt.flush_ms;
    }
    for (int i = 0; i < owned; i++)
        if (p[1 + i].ready)
            input_dispatch(own[i], 0);
    if (got_cont) {
        got_cont = 0;
        crash_handlers();
    }
    if (in && (pending || p[n].ready))
        commands = command_read(current, &want);
    return want;
}

/* --- engine --- */

static void engine_free(struct engine *e) {
    for (struct flb_input_instance *ins = e->first, *next; ins; ins = next) {
        next = ins->next;
        input_destroy(ins);
    }
    if (e->proxy)
        proxy_unload(e->proxy);
    free(e);
}

/* engine_new registers the plugin and checks the sections; NULL if refused. */
static struct engine *engine_new(bool hot_reloading) {
    struct engine *e = calloc(1, sizeof *e);
    int id = 0;
    if ((e->proxy = proxy_load(hot_reloading))) {
        struct section *s = opt.help ? NULL : opt.sections;
        while (s && input_new(e, id++, s))
            s = s->next;
        if (!s)
            return e;
    }
    engine_free(e);
    return NULL;
}

/* The engine of Fluent Bit has a thread of its own, called so in src/flb_lib.c.
 * Here it is the one that also registers plugins, under another name: threads
 * that a plugin makes then would have the same. */
static void called(const char *name) {
    prctl(PR_SET_NAME, name);
}

/* engine_start answers "ok" with what when the plugin runs. */
static int engine_start(struct engine *e, const char *what) {
    current = e;
    called("flb-pipeline");
    e->active = true;
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next)
        if (input_start(ins)) {
            log_error("[engine] input initialization failed");
            if (opt.layout->waits || !ins->threaded)
                return -1;
            ins->dead = true; /* its thread is gone, and nobody minds */
        }
    int answer = answer_begin(what);
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next)
        if (!ins->dead)
            answer_send(ins, MSG_START, answer);
    answer_done(answer);
    return 0;
}

static void pause_all(struct engine *e) {
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next)
        input_pause(ins);
}

/* engine_stop: PAUSE, one tick or more in which rings drain and the output gets
 * the rest, PAUSE again, then instance by instance, the last first, EXIT. */
static void engine_stop(struct engine *e) {
    uint64_t in_rings = 0, in_memory;
    output_flush();
    e->active = false;
    log_info("[engine] pausing all inputs..");
    pause_all(e);
    for (int tick = 1;; tick++) {
        int64_t end = (now_ms() / opt.tick_ms + 1) * opt.tick_ms;
        while (now_ms() < end)
            step(end, false);
        if (!opt.layout->waits && !output_pump())
            break; /* what came from a ring since the flush has no task */
        if (!output_backlog() || (tick >= opt.grace && !e->reloading) || output_failed)
            break;
        output_flush();
    }
    log_info("[engine] service has stopped (0 pending tasks)");
    pause_all(e);
    in_memory = output_discard();
    for (struct flb_input_instance *ins = e->last; ins; ins = ins->prev) {
        input_exit(ins);
        in_rings += ring_records(&ins->ring);
    }
    called("flbhost");
    engine_free(e); /* not earlier: a late PAUSE still reaches for proxy->instance */
    host_answer("stopped, %llu records written, %llu lost in rings, %llu lost in memory",
                (unsigned long long)output_records, (unsigned long long)in_rings, (unsigned long long)in_memory);
}

/* The new plugin is registered while the old one runs; instances never overlap. */
static int reload(void) {
    struct engine *old = current, *new;
    called("flbhost");
    crash_handlers();
    log_info("reloading instance pid=%d", (int)getpid());
    if (!(new = engine_new(true))) {
        log_error("[reload] reloaded config is invalid. Reloading is halted");
        host_answer("error reload");
        called("flb-pipeline");
        return 0;
    }
    called("flb-pipeline");
    log_info("[reload] stop everything of the old context");
    old->reloading = true;
    engine_stop(old);
    log_info("[reload] start everything");
    if (engine_start(new, "reload")) {
        log_error("[reload] loaded configuration contains error(s). Reloading is aborted");
        return -1;
    }
    return 0;
}

/* Fluent Bit's parent would be gone; this one waits, to hand on the status. */
static void daemonize(void) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        return;
    }
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        fprintf(stderr, "flbhost: fork: %s\n", strerror(errno));
        exit(1);
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv) {
    options_parse(argc, argv);
    woken_fd = wake_open();
    signals();
    api_global_map(opt.layout);
    if (output_open(opt.output))
        return 2;

    struct engine *e = engine_new(false);
    if (!e)
        return 1;
    if (opt.help) {
        proxy_help(e->proxy);
        return 0;
    }
    if (opt.daemon)
        daemonize();
    if (engine_start(e, "ready"))
        return 1;

    int64_t end = opt.duration_ms ? now_ms() + opt.duration_ms : INT64_MAX;
    while (!got_stop && now_ms() < end) {
        enum request want = step(end, true);
        if (want == REQ_STOP)
            break;
        if (want == REQ_RELOAD || got_reload) {
            got_reload = 0;
            if (reload())
                return 1;
        }
    }
    engine_stop(current);
    output_close();
    return 0;
}
