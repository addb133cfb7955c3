/*
 * host.h - what the files of the host share: one engine, its instances, and
 * the few functions between them.
 *
 * Threads: the main thread registers the plugin, runs commands, drains the
 * rings and writes the output; every instance has one thread of its own, on
 * which all of its callbacks run.
 */
#ifndef HOST_H
#define HOST_H

#include "abi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* --- options: set by the command line, then read only --- */

struct property {
    struct property *next;
    char *key;
    char *value; /* NULL: given, but empty after ${VAR} was expanded */
};

struct section { /* one [INPUT] */
    struct section *next;
    struct property *props;
};

struct options {
    const char *plugin;
    const struct layout *layout;
    const char *output;
    const char *tag;
    const char *hide[32];
    int hidden;
    int log_level;
    int flush_ms;
    int tick_ms;  /* the length of Fluent Bit's second */
    int grace;    /* ticks to wait for unflushed records at the end */
    int64_t duration_ms;
    long drop_every;
    long routes;
    bool no_thread;
    bool daemon;
    bool trace;
    bool help;
    struct section *sections;
};
extern struct options opt;

/* Set by flag and by command, read by any thread. */
extern _Atomic long refuse_first; /* appends still to refuse */
extern _Atomic long refuse_every; /* refuse every Nth append, 0 = none */
extern _Atomic long slow_bytes;   /* output bytes/s, 0 = unlimited */
extern _Atomic long full_first;   /* appends for which there is no chunk */
extern _Atomic long filter_ms;    /* for each append */

/* --- engine --- */

struct proxy; /* the loaded plugin: proxy.c */
struct cmt;   /* an instance's metrics: cmt.c */
struct metric;
struct collector;

struct raw { /* one append on its way to the output */
    struct raw *next;
    struct flb_input_instance *ins;
    size_t records;
    size_t size;
    char *tag;     /* NULL: the instance's */
    uint8_t *data; /* in the same allocation */
};

struct ring {
    pthread_mutex_t mu;
    struct raw **slot;
    size_t cap, head, len;
    size_t window; /* percent of cap from which the main thread is woken */
    bool live;     /* the main thread listens */
    bool signalled;
};

struct flb_input_instance {
    struct flb_input_instance *next, *prev;
    struct engine *engine;
    char name[64];
    int log_level;
    char *alias, *tag;
    struct property *props;
    struct cmt *cmt;
    struct metric *m_records, *m_bytes, *m_paused, *m_writes, *m_retries, *m_failures;
    void *context; /* flb_plugin_input_proxy_context of the layout */

    pthread_t thread;
    pthread_mutex_t mu; /* guards the collectors and status */
    pthread_cond_t cond;
    int status; /* of Init: 0 not yet, 1 good, -1 refused */
    int epoll, pipe[2];
    struct collector *collectors;
    bool threaded;
    bool exiting; /* own thread only */
    bool dead;    /* its Init was refused */

    struct ring ring;
    size_t mem, mem_limit;            /* main thread only */
    bool limit_paused, manual_paused; /* main thread only */
    _Atomic uint64_t appends, appended, refused;
    uint64_t drained;
};

struct engine {
    struct proxy *proxy;
    struct flb_input_instance *first, *last;
    bool active;    /* ingestion: false from the first PAUSE of a shutdown on */
    bool reloading; /* this engine is being replaced */
};
extern struct engine *current;

/* host.c */
void host_wake(void);
void host_answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void violation(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
int64_t now_ms(void);

/* command.c; command_read is false at the end of stdin */
enum request { REQ_NONE, REQ_RELOAD, REQ_STOP };
bool command_read(enum request *want);
bool command_pending(void);
void command_check(void); /* answers a wait that is over */
int answer_begin(const char *what);
void answer_send(struct flb_input_instance *ins, int msg, int answer);
void answer_done(int answer);

/* options.c */
void options_parse(int argc, char **argv);
int parse_refuse(const char *s);
int64_t parse_size(const char *s);
int parse_bool(const char *s);
char *expand_env(const char *s);

/* proxy.c */
struct proxy *proxy_load(bool hot_reloading);
void proxy_unload(struct proxy *p);
int proxy_check(struct proxy *p, struct property *props);
void proxy_help(struct proxy *p);
const char *proxy_name(struct proxy *p);
void *proxy_context(struct proxy *p);
int proxy_init(struct proxy *p, struct flb_input_instance *ins);
int proxy_collect(struct flb_input_instance *ins, struct flb_config *c, void *ctx);
void proxy_pre_run(struct flb_input_instance *ins);
void proxy_pause(struct flb_input_instance *ins);
void proxy_resume(struct flb_input_instance *ins);
void proxy_exit(struct flb_input_instance *ins);

/* input.c */
enum message { MSG_START, MSG_PAUSE, MSG_RESUME, MSG_EXIT }; /* an answer's number above 8 bits */
struct flb_input_instance *input_new(struct engine *e, int id, struct section *s);
int input_start(struct flb_input_instance *ins);
void input_send(struct flb_input_instance *ins, int msg);
void input_dispatch(struct flb_input_instance *ins, int timeout_ms);
void input_exit(struct flb_input_instance *ins);
void input_destroy(struct flb_input_instance *ins);
void input_pause(struct flb_input_instance *ins);
bool input_paused(struct flb_input_instance *ins);
int collector_timer(struct flb_input_instance *ins);
void collector_stop(struct flb_input_instance *ins, int id);
void collector_resume(struct flb_input_instance *ins, int id);
const char *property_get(struct property *list, const char *key);

/* ring.c */
void ring_init(struct ring *r, size_t cap);
void ring_free(struct ring *r);
size_t ring_len(struct ring *r);
uint64_t ring_records(struct ring *r);
void ring_collect(struct engine *e);

/* output.c: the queue of drained records and where they go. Main thread. */
int output_open(const char *spec);
void output_push(struct raw *r);
void output_flush(void);         /* all that is queued may go out now */
bool output_pump(void);          /* writes what the rate allows; true: more is due */
size_t output_backlog(void);     /* bytes drained and not yet written */
size_t output_discard(void);     /* forgets the rest; its number of records */
void output_close(void);
extern uint64_t output_records, output_bytes;
extern bool output_failed;

/* records.c */
struct text { char *p; size_t len, cap; };
void text_add(struct text *t, const void *p, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_json(struct text *t, const char *s, size_t n);
size_t records_count(const uint8_t *p, size_t n, size_t *valid);
uint8_t *records_drop(const uint8_t *p, size_t n, long every, uint64_t *seen, size_t *out);
bool records_json(struct text *t, const char *tag, const uint8_t *p, size_t n);

/* cmt.c */
struct cmt *cmt_create(void);
void cmt_destroy(struct cmt *c);
struct metric *cmt_counter_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys);
struct metric *cmt_gauge_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys);
int cmt_counter_add(struct metric *m, uint64_t ts, double v, int n, char **labels);
int cmt_counter_set(struct metric *m, uint64_t ts, double v, int n, char **labels);
int cmt_gauge_set(struct metric *m, uint64_t ts, double v, int n, char **labels);
char *cmt_encode_prometheus_create(struct cmt *c, int add_timestamp);
void cmt_encode_prometheus_destroy(char *text);
uint64_t cmt_now(void);

/* api.c: also everything a plugin finds by dlsym */
void api_fill(struct flb_api *api);
void api_global_map(const struct layout *l);
void trace(const char *call, struct flb_input_instance *ins);
void log_print(int level, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int log_level_parse(const char *s);
const char *flb_input_name(struct flb_input_instance *ins);
int flb_input_set_property(struct flb_input_instance *ins, const char *key, const char *value);

#define log_error(...) log_at(FLB_LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(FLB_LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(FLB_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(FLB_LOG_DEBUG, __VA_ARGS__)
#define log_at(level, ...)                          \
    do {                                            \
        if (opt.log_level >= (level))               \
            log_print((level), NULL, 0, __VA_ARGS__); \
    } while (0)

#endif
