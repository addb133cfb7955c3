//go:build ignore

/* command.c - the commands on stdin. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Answers that wait for instances to carry out a message. */
static struct {
    _Atomic int left;
    char what[32];
} answers[64];

/* answer_begin returns a number to send along with messages; the answer is given
 * when every message was carried out and answer_done was called once more. */
int answer_begin(const char *what) {
    static int last;
    int n = last = last % 63 + 1;
    snprintf(answers[n].what, sizeof answers[n].what, "%s", what);
    atomic_store(&answers[n].left, 1);
    return n;
}

void answer_send(struct flb_input_instance *ins, int msg, int answer) {
    atomic_fetch_add(&answers[answer].left, 1);
    input_send(ins, msg | answer << 8);
}

void answer_done(int answer) {
    if (answer && atomic_fetch_sub(&answers[answer].left, 1) == 1)
        host_answer("ok %s", answers[answer].what);
}

static void pause_resume(bool pause, const char *arg) {
    char what[32];
    int id = 0, only = arg ? atoi(arg) : -1;
    snprintf(what, sizeof what, "%s%s%s", pause ? "pause" : "resume", arg ? " " : "", arg ? arg : "");
    int answer = answer_begin(what);
    for (struct flb_input_instance *ins = current->first; ins; ins = ins->next, id++) {
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

static void metrics(void) {
    for (struct flb_input_instance *ins = current->first; ins; ins = ins->next) {
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

static enum request run(char *line) {
    char *save, *word = strtok_r(line, " \t\r", &save), *arg = strtok_r(NULL, " \t\r", &save);
    if (!word)
        return REQ_NONE;
    if (!strcmp(word, "pause") || !strcmp(word, "resume")) {
        pause_resume(*word == 'p', arg);
    } else if (!strcmp(word, "reload")) {
        return REQ_RELOAD;
    } else if (!strcmp(word, "exit")) {
        host_answer("ok exit");
        return REQ_STOP;
    } else if (!strcmp(word, "kill")) {
        host_answer("ok kill");
        raise(SIGKILL);
    } else if (!strcmp(word, "stats")) {
        stats(current);
    } else if (!strcmp(word, "metrics")) {
        metrics();
    } else if (!strcmp(word, "help")) {
        proxy_help(current->proxy);
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
bool command_read(enum request *want) {
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
        *want = run(in.p);
        memmove(in.p, in.p + n, in.len - n);
        in.len -= n;
    }
    return true;
}
