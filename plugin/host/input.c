//go:build ignore

/*
 * input.c - an input instance: its thread, event loop and collectors, as in
 * src/flb_input.c and src/flb_input_thread.c.
 */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef int (*collect_fn)(struct flb_input_instance *, struct flb_config *, void *);

struct collector {
    struct collector *next;
    int id;
    int fd; /* the plugin's, or the timer's */
    bool timer, running;
    collect_fn collect;
};

const char *property_get(struct property *list, const char *key) {
    for (; list; list = list->next)
        if (!strcasecmp(list->key, key))
            return list->value;
    return NULL;
}

/* --- collectors --- */

static struct collector *collector_add(struct flb_input_instance *ins, collect_fn collect, int fd) {
    struct collector **at = &ins->collectors, *c = calloc(1, sizeof *c);
    pthread_mutex_lock(&ins->mu);
    for (; *at; at = &(*at)->next)
        c->id = (*at)->id + 1;
    c->fd = fd;
    c->collect = collect;
    *at = c;
    pthread_mutex_unlock(&ins->mu);
    return c;
}

/* Exported. The descriptor stays the plugin's: the host never closes it. */
int flb_input_set_collector_event(struct flb_input_instance *ins, collect_fn collect, int fd, struct flb_config *config) {
    if (!ins->threaded && !config)
        violation("flb_input_set_collector_event with a NULL config in an instance without a thread: Fluent Bit crashes here");
    return collector_add(ins, collect, fd)->id;
}

int collector_timer(struct flb_input_instance *ins) {
    struct collector *c = collector_add(ins, proxy_collect, -1);
    c->timer = true;
    return c->id;
}

/* Needs ins->mu. Fluent Bit's timers fire at whole seconds. */
static void collector_start(struct flb_input_instance *ins, struct collector *c) {
    if (c->timer) {
        struct itimerspec every = {0};
        int64_t at = (now_ms() / opt.tick_ms + 1) * opt.tick_ms;
        every.it_interval = (struct timespec){opt.tick_ms / 1000, opt.tick_ms % 1000 * 1000000L};
        every.it_value = (struct timespec){at / 1000, at % 1000 * 1000000L};
        c->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        timerfd_settime(c->fd, TFD_TIMER_ABSTIME, &every, NULL);
    }
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = c->fd};
    if (epoll_ctl(ins->epoll, EPOLL_CTL_ADD, c->fd, &ev))
        log_error("[input collector] %s: descriptor %d: %s", ins->name, c->fd, strerror(errno));
    c->running = true;
}

static struct collector *collector_find(struct flb_input_instance *ins, int id) {
    struct collector *c = ins->collectors;
    while (c && c->id != id)
        c = c->next;
    return c;
}

void collector_stop(struct flb_input_instance *ins, int id) {
    pthread_mutex_lock(&ins->mu);
    struct collector *c = collector_find(ins, id);
    if (c && c->running) {
        epoll_ctl(ins->epoll, EPOLL_CTL_DEL, c->fd, NULL);
        if (c->timer)
            close(c->fd);
        c->running = false;
    }
    pthread_mutex_unlock(&ins->mu);
}

void collector_resume(struct flb_input_instance *ins, int id) {
    pthread_mutex_lock(&ins->mu);
    struct collector *c = collector_find(ins, id);
    if (c && c->running)
        log_error("[input] cannot resume collector %s:%i, already running", ins->name, id);
    else if (c && ins->engine->active)
        collector_start(ins, c);
    pthread_mutex_unlock(&ins->mu);
}

/* --- the instance's thread --- */

static void set_status(struct flb_input_instance *ins, int status) {
    pthread_mutex_lock(&ins->mu);
    ins->status = status;
    pthread_cond_signal(&ins->cond);
    pthread_mutex_unlock(&ins->mu);
}

static int instance_init(struct flb_input_instance *ins) {
    if (proxy_init(ins->engine->proxy, ins)) {
        log_error("failed initialize input %s", flb_input_name(ins));
        return -1;
    }
    return 0;
}

static void instance_begin(struct flb_input_instance *ins) {
    pthread_mutex_lock(&ins->mu);
    for (struct collector *c = ins->collectors; c; c = c->next)
        collector_start(ins, c);
    pthread_mutex_unlock(&ins->mu);
    proxy_pre_run(ins);
}

static void handle_message(struct flb_input_instance *ins) {
    int msg;
    char *label[] = {(char *)flb_input_name(ins)};
    if (read(ins->pipe[0], &msg, sizeof msg) != sizeof msg)
        return;
    switch (msg & 0xff) {
    case MSG_START:
        instance_begin(ins);
        break;
    case MSG_PAUSE:
        proxy_pause(ins);
        cmt_gauge_set(ins->m_paused, cmt_now(), 1, 1, label);
        break;
    case MSG_RESUME:
        proxy_resume(ins);
        cmt_gauge_set(ins->m_paused, cmt_now(), 0, 1, label);
        break;
    case MSG_EXIT:
        ins->exiting = true;
        break;
    }
    answer_done(msg >> 8);
}

static void handle_collector(struct flb_input_instance *ins, int fd) {
    collect_fn collect = NULL;
    pthread_mutex_lock(&ins->mu);
    for (struct collector *c = ins->collectors; c; c = c->next) {
        uint64_t ticks;
        if (!c->running || c->fd != fd)
            continue;
        if (!c->timer || read(fd, &ticks, sizeof ticks) > 0)
            collect = c->collect;
        break;
    }
    pthread_mutex_unlock(&ins->mu);
    if (collect)
        collect(ins, NULL, ins->context);
}

/* input_dispatch runs one round of the instance's event loop. */
void input_dispatch(struct flb_input_instance *ins, int timeout_ms) {
    struct epoll_event ev[16];
    int n = epoll_wait(ins->epoll, ev, 16, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == ins->pipe[0])
            handle_message(ins);
        else
            handle_collector(ins, ev[i].data.fd);
    }
}

static void *instance_thread(void *arg) {
    struct flb_input_instance *ins = arg;
    char name[96];
    snprintf(name, sizeof name, "flb-in-%s-w0", ins->name);
    prctl(PR_SET_NAME, name); /* the kernel keeps 15 bytes */
    int bad = instance_init(ins);
    set_status(ins, bad ? -1 : 1);
    if (bad)
        return NULL;
    handle_message(ins); /* MSG_START, when the other instances are initialised too */
    while (!ins->exiting)
        input_dispatch(ins, -1);
    proxy_exit(ins);
    return NULL;
}

/* --- called by the main thread --- */

struct flb_input_instance *input_new(struct engine *e, int id, struct section *s) {
    struct flb_input_instance *ins = calloc(1, sizeof *ins);
    snprintf(ins->name, sizeof ins->name, "%s.%d", proxy_name(e->proxy), id);
    ins->engine = e;
    ins->epoll = ins->pipe[0] = ins->pipe[1] = -1;
    ins->log_level = opt.log_level;
    ins->context = proxy_context(e->proxy);
    ins->threaded = !opt.no_thread;
    pthread_mutex_init(&ins->mu, NULL);
    pthread_cond_init(&ins->cond, NULL);
    ring_init(&ins->ring, 1024);
    bool bad = opt.tag && flb_input_set_property(ins, "tag", opt.tag);
    for (struct property *p = s->props; p && !bad; p = p->next)
        if ((bad = flb_input_set_property(ins, p->key, p->value)))
            log_error("[config] could not configure property '%s' on input plugin with section name '%s'",
                      p->key, proxy_name(e->proxy));
    *(e->last ? &e->last->next : &e->first) = ins;
    ins->prev = e->last;
    e->last = ins;
    return bad || proxy_check(e->proxy, ins->props) ? NULL : ins;
}

static struct metric *metric(struct flb_input_instance *ins, bool gauge, char *name, char *help) {
    char *key[] = {"name"}, *label[] = {(char *)flb_input_name(ins)};
    struct metric *m = gauge ? cmt_gauge_create(ins->cmt, "fluentbit", "input", name, help, 1, key)
                             : cmt_counter_create(ins->cmt, "fluentbit", "input", name, help, 1, key);
    cmt_counter_set(m, cmt_now(), 0, 1, label);
    return m;
}

/* input_start runs Init and waits for its verdict, 0 when it was good. */
int input_start(struct flb_input_instance *ins) {
    const char *plugin = proxy_name(ins->engine->proxy);
    ins->cmt = cmt_create();
    ins->m_bytes = metric(ins, false, "bytes_total", "Number of input bytes.");
    ins->m_records = metric(ins, false, "records_total", "Number of input records.");
    ins->m_paused = metric(ins, true, "ingestion_paused", "Is the input paused or not?");
    ins->m_writes = metric(ins, false, "ring_buffer_writes_total", "Number of ring buffer writes.");
    ins->m_retries = metric(ins, false, "ring_buffer_retries_total", "Number of ring buffer retries.");
    ins->m_failures = metric(ins, false, "ring_buffer_retry_failures_total", "Number of ring buffer retry failures.");
    if (ins->log_level >= FLB_LOG_INFO)
        log_info("[input:%s:%s] initializing", plugin, flb_input_name(ins));
    if (!ins->tag)
        ins->tag = strdup(ins->name);

    ins->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (ins->epoll < 0 || pipe2(ins->pipe, O_CLOEXEC))
        return -1;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = ins->pipe[0]};
    epoll_ctl(ins->epoll, EPOLL_CTL_ADD, ins->pipe[0], &ev);
    if (!ins->threaded)
        return instance_init(ins);

    if (pthread_create(&ins->thread, NULL, instance_thread, ins))
        return -1;
    pthread_mutex_lock(&ins->mu);
    while (!ins->status)
        pthread_cond_wait(&ins->cond, &ins->mu);
    int status = ins->status;
    pthread_mutex_unlock(&ins->mu);
    if (status < 0) {
        pthread_join(ins->thread, NULL);
        return -1;
    }
    pthread_mutex_lock(&ins->ring.mu);
    ins->ring.live = true;
    pthread_mutex_unlock(&ins->ring.mu);
    if (ins->log_level >= FLB_LOG_INFO)
        log_info("[input:%s:%s] thread instance initialized", plugin, flb_input_name(ins));
    return 0;
}

void input_send(struct flb_input_instance *ins, int msg) {
    if (write(ins->pipe[1], &msg, sizeof msg) != sizeof msg)
        log_error("[input] %s: message lost: %s", ins->name, strerror(errno));
}

bool input_paused(struct flb_input_instance *ins) {
    return ins->limit_paused || ins->manual_paused;
}

/* input_pause tells the plugin, unless a limit has paused it: nobody tells it twice. */
void input_pause(struct flb_input_instance *ins) {
    if (!input_paused(ins) && !ins->dead)
        input_send(ins, MSG_PAUSE);
}

void input_exit(struct flb_input_instance *ins) {
    if (ins->dead)
        return;
    if (ins->threaded) {
        input_send(ins, MSG_EXIT);
        pthread_join(ins->thread, NULL);
    } else {
        proxy_exit(ins);
    }
}

void input_destroy(struct flb_input_instance *ins) {
    for (struct collector *c = ins->collectors, *next; c; c = next) {
        next = c->next;
        if (c->timer && c->running)
            close(c->fd);
        free(c);
    }
    for (struct property *p = ins->props, *next; p; p = next) {
        next = p->next;
        free(p->key);
        free(p->value);
        free(p);
    }
    close(ins->epoll);
    close(ins->pipe[0]);
    close(ins->pipe[1]);
    ring_free(&ins->ring);
    if (ins->cmt)
        cmt_destroy(ins->cmt);
    free(ins->alias);
    free(ins->tag);
    free(ins->context);
    pthread_mutex_destroy(&ins->mu);
    pthread_cond_destroy(&ins->cond);
    free(ins);
}
