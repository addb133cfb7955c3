//go:build ignore

/* command.c - the commands on stdin. */
#include "command.h"
#include "api.h"
#include "cmt.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "proxy.h"
#include "ring.h"
#include "say.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void pause_resume(struct engine *e, bool pause, const char *arg) {
    char what[32];
    int id = 0, only = arg ? atoi(arg) : -1;
    snprintf(what, sizeof what, "%s%s%s", pause ? "pause" : "resume", arg ? " " : "", arg ? arg : "");
    int answer = answer_begin(what);
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next, id++) {
        if (only >= 0 && only != id)
            continue;
        if (pause) {
            if (!input_paused(ins))
                answer_send(ins, MSG_PAUSE, answer);
            ins->manual_paused = true;
        } else if (ins->manual_paused) {
            ins->manual_paused = false;
            if (!ins->limit_paused)
                answer_send(ins, MSG_RESUME, answer);
        }
    }
    answer_done(answer);
}

static int count_fds(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 3; /* ".", ".." and the directory itself */
}

static long status_value(const char *key) {
    char line[256];
    long v = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)))
            v = atol(line + strlen(key));
    if (f)
        fclose(f);
    return v;
}

static void stats(struct engine *e) {
    struct text t = {0};
    text_printf(&t, "{\"instances\":[");
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next) {
        text_printf(&t, "%s{\"name\":", ins == e->first ? "" : ",");
        text_json(&t, flb_input_name(ins), strlen(flb_input_name(ins)));
        text_printf(&t, ",\"appends\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"appended\":%" PRIu64 ",\"drained\":%" PRIu64,
                    atomic_load(&ins->appends), atomic_load(&ins->refused), atomic_load(&ins->appended), ins->drained);
        text_printf(&t, ",\"ring\":%zu,\"ring_capacity\":%zu,\"mem_bytes\":%zu,\"paused\":%s}", ring_len(&ins->ring),
                    ins->ring.cap, ins->mem, input_paused(ins) ? "true" : "false");
    }
    text_printf(&t, "],\"output\":{\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"waiting_bytes\":%zu}",
                output_records, output_bytes, output_backlog());
    text_printf(&t, ",\"process\":{\"fds\":%d,\"threads\":%ld,\"rss_kb\":%ld}}", count_fds(),
                status_value("Threads:"), status_value("VmRSS:"));
    host_answer("ok stats %s", t.p);
    free(t.p);
}

static void metrics(struct engine *e) {
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next) {
        char *s = cmt_encode_prometheus_create(ins->cmt, 1);
        fputs(s, stderr);
        cmt_encode_prometheus_destroy(s);
    }
    host_answer("ok metrics");
}

static uint64_t wanted; /* records, by the wait command; 0 = none */

void command_check(void) {
    if (!wanted || output_records < wanted)
        return;
    host_answer("ok wait %" PRIu64, wanted);
    wanted = 0;
}

static enum request run(struct engine *e, char *line) {
    char *save, *word = strtok_r(line, " \t\r", &save), *arg = strtok_r(NULL, " \t\r", &save);
    if (!word)
        return REQ_NONE;
    if (!strcmp(word, "pause") || !strcmp(word, "resume")) {
        pause_resume(e, *word == 'p', arg);
    } else if (!strcmp(word, "reload")) {
        return REQ_RELOAD;
    } else if (!strcmp(word, "exit")) {
        host_answer("ok exit");
        return REQ_STOP;
    } else if (!strcmp(word, "kill")) {
        host_answer("ok kill");
        raise(SIGKILL);
    } else if (!strcmp(word, "stats")) {
        stats(e);
    } else if (!strcmp(word, "metrics")) {
        metrics(e);
    } else if (!strcmp(word, "help")) {
        proxy_help(e->proxy);
        host_answer("ok help");
    } else if (!strcmp(word, "refuse") && arg && !parse_refuse(arg)) {
        host_answer("ok refuse %s", arg);
    } else if (!strcmp(word, "wait") && arg && parse_size(arg) > 0) {
        wanted = parse_size(arg);
    } else if (!strcmp(word, "full") && arg && parse_size(arg) >= 0) {
        atomic_store(&full_first, parse_size(arg));
        host_answer("ok full %s", arg);
    } else if (!strcmp(word, "filter-ms") && arg && parse_size(arg) >= 0) {
        atomic_store(&filter_ms, parse_size(arg));
        host_answer("ok filter-ms %s", arg);
    } else if (!strcmp(word, "slow") && arg && parse_size(arg) >= 0) {
        atomic_store(&slow_bytes, parse_size(arg));
        host_answer("ok slow %s", arg);
    } else {
        host_answer("error %s: no such command; see flbhost -h", word);
    }
    return REQ_NONE;
}

static struct text in; /* what stdin gave and no command has used */

/* command_pending: a whole line is there already, stdin need not be waited for. */
bool command_pending(void) {
    return in.len && memchr(in.p, '\n', in.len);
}

/* command_read runs the whole lines stdin has, up to one that asks for more. */
bool command_read(struct engine *e, enum request *want) {
    char buf[4096];
    *want = REQ_NONE;
    if (!command_pending()) {
        ssize_t n = read(0, buf, sizeof buf);
        if (n < 0)
            return errno == EINTR || errno == EAGAIN;
        if (n == 0)
            return false;
        text_add(&in, buf, n);
    }
    while (*want == REQ_NONE && command_pending()) {
        char *end = memchr(in.p, '\n', in.len);
        size_t n = end + 1 - in.p;
        *end = 0;
        *want = run(e, in.p);
        memmove(in.p, in.p + n, in.len - n);
        in.len -= n;
    }
    return true;
}
