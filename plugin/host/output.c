//go:build ignore

/*
 * output.c - drained records wait here for the next flush, then go to the
 * output at the allowed rate. What is written no longer counts against its
 * instance's Mem_Buf_Limit. Main thread only.
 */
#include "output.h"
#include "api.h"
#include "engine.h"
#include "message.h"
#include "options.h"
#include "records.h"
#include "say.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t output_records, output_bytes;
bool output_failed; /* the reader of our output is gone */

static int fd = -1;
static enum { TO_FD, TO_NULL, TO_COUNT } kind;
static struct text line;

static struct raw *head, **tail = &head;
static size_t backlog; /* bytes in the queue */
static size_t due;     /* raws from the head on that were flushed */
static size_t queued;  /* raws in all */

static int64_t rate_at, count_at, started;
static int64_t allowance; /* bytes, below 0 after a raw larger than it */

int output_open(const char *spec) {
    rate_at = started = now_ms();
    if (!strcmp(spec, "stdout")) {
        fd = 1;
    } else if (!strcmp(spec, "null")) {
        kind = TO_NULL;
    } else if (!strcmp(spec, "count")) {
        kind = TO_COUNT;
        fd = 1;
    } else if (!strncmp(spec, "file:", 5)) {
        fd = open(spec + 5, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0)
            fprintf(stderr, "flbhost: %s: %s\n", spec + 5, strerror(errno));
    } else {
        fprintf(stderr, "flbhost: -o %s: want stdout, null, count or file:PATH\n", spec);
        return -1;
    }
    return kind == TO_NULL || fd >= 0 ? 0 : -1;
}

static void write_line(void) {
    for (size_t done = 0; done < line.len && !output_failed;) {
        ssize_t n = write(fd, line.p + done, line.len - done);
        if (n > 0) {
            done += n;
        } else if (n < 0 && errno != EINTR) {
            log_error("[output] write: %s", strerror(errno));
            output_failed = true;
        }
    }
    line.len = 0;
}

static void write_raw(struct raw *x) {
    output_records += x->records;
    output_bytes += x->size;
    if (kind == TO_FD) {
        const char *tag = x->tag ? x->tag : x->ins->tag;
        if (!records_json(&line, tag, x->data, x->size))
            violation("%s appended msgpack that is no log event", x->ins->name);
        if (line.len >= 1 << 18)
            write_line();
    }
}

static void report(int64_t now) {
    double s = (double)(now - started) / 1000;
    text_printf(&line, "{\"records\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"records_per_second\":%.0f}\n",
                (unsigned long long)output_records, (unsigned long long)output_bytes, s,
                s > 0 ? (double)output_records / s : 0);
    write_line();
}

void output_push(struct raw *x) {
    x->next = NULL;
    *tail = x;
    tail = &x->next;
    backlog += x->size;
    queued++;
}

void output_flush(void) {
    due = queued;
}

static struct raw *take(void) {
    struct raw *x = head;
    if (!(head = x->next))
        tail = &head;
    backlog -= x->size;
    queued--;
    due -= due > 0;
    return x;
}

/* Below its limit again, an instance paused by it goes on (flb_input_chunk_set_limits). */
static void release(struct raw *x) {
    struct flb_input_instance *ins = x->ins;
    ins->mem -= x->size;
    free(x);
    if (ins->limit_paused && ins->mem < ins->mem_limit && ins->engine->active) {
        ins->limit_paused = false;
        if (ins->manual_paused)
            return;
        input_send(ins, MSG_RESUME);
        log_info("[input] %s resume (mem buf overlimit - buf size %zuB now below limit %zuB)",
                 flb_input_name(ins), ins->mem, ins->mem_limit);
    }
}

bool output_pump(void) {
    int64_t now = now_ms();
    int64_t rate = atomic_load(&slow_bytes);
    if (rate > 0) {
        int64_t most = rate / 10 + 1; /* no burst after an idle time */
        allowance += rate * (now - rate_at) / 1000;
        if (allowance > most)
            allowance = most;
    }
    rate_at = now;
    while (due && (rate <= 0 || allowance > 0)) {
        struct raw *x = take();
        write_raw(x);
        allowance -= rate > 0 ? (int64_t)x->size : 0;
        release(x);
    }
    if (kind == TO_FD)
        write_line();
    if (kind == TO_COUNT && now - count_at >= 1000) {
        report(now);
        count_at = now;
    }
    return due > 0;
}

size_t output_backlog(void) {
    return backlog;
}

size_t output_discard(void) {
    size_t lost = 0;
    while (head) {
        struct raw *x = take();
        lost += x->records;
        x->ins->mem -= x->size;
        free(x);
    }
    return lost;
}

void output_close(void) {
    if (kind == TO_COUNT)
        report(now_ms());
    if (fd > 2)
        close(fd);
    free(line.p);
}
