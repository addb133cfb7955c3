//go:build ignore

/*
 * say.c - what the host says on stderr: Fluent Bit's log lines, and its own
 * "[host] ..." lines; and what time it is.
 */
#define _GNU_SOURCE
#include "say.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

bool say_failed; /* nobody reads it any more */

int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- log lines, src/flb_log.c --- */

int host_log_level = FLB_LOG_INFO;

static const char *level_name[] = {"off", "error", "warn", "info", "debug", "trace", "help"};

int log_level_parse(const char *s) {
    for (int i = FLB_LOG_OFF; i <= FLB_LOG_TRACE; i++)
        if (!strcasecmp(s, level_name[i]))
            return i;
    return -1;
}

void log_print(int level, const char *file, int line, const char *fmt, ...) {
    char buf[4096], body[4000]; /* Fluent Bit cuts at the same length */
    struct timespec now;
    struct tm tm;
    va_list ap;
    (void)file;
    (void)line;
    va_start(ap, fmt);
    vsnprintf(body, sizeof body, fmt, ap);
    va_end(ap);
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    int n = (int)strftime(buf, sizeof buf, "[%Y/%m/%d %H:%M:%S", &tm);
    bool known = level >= FLB_LOG_ERROR && level <= FLB_LOG_HELP;
    n += snprintf(buf + n, sizeof buf - n, ".%03ld] [%5s] %s\n", now.tv_nsec / 1000000,
                  known ? level_name[level] : "?", body);
    if (write(2, buf, n) < 0) /* one write: lines of several threads stay whole */
        return;
}

/* --- the host's own lines --- */

static void answer(const char *kind, const char *fmt, va_list ap) {
    struct text t = {0};
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    text_printf(&t, "[host] %s%s\n", kind, s);
    if (write(2, t.p, t.len) < 0)
        say_failed = true;
    free(t.p);
    free(s);
}

/* host_answer writes one "[host] ..." line to stderr, whole. */
void host_answer(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    answer("", fmt, ap);
    va_end(ap);
}

/* violation ends the process where Fluent Bit would be damaged silently. */
void violation(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    answer("violation: ", fmt, ap);
    va_end(ap);
    _exit(3);
}
