/* say.h - what the host says on stderr, and the time. Any thread. */
#ifndef HOST_SAY_H
#define HOST_SAY_H

#include "abi.h"

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds of a clock that is never set. */
int64_t now_ms(void);

extern bool say_failed;
void host_answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Of the host itself, and of instances that have none of their own. */
extern int host_log_level;
/* Writes one line as Fluent Bit's log does; file and line are not shown. */
void log_print(int level, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A level by its name, -1 if it is none. */
int log_level_parse(const char *s);

#define log_error(...) log_at(FLB_LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(FLB_LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(FLB_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(FLB_LOG_DEBUG, __VA_ARGS__)
#define log_at(level, ...)                          \
    do {                                            \
        if (host_log_level >= (level))               \
            log_print((level), NULL, 0, __VA_ARGS__); \
    } while (0)

#endif
