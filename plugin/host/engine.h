/*
 * engine.h - one engine and its instances: what there is, and which thread may
 * touch it.
 *
 * The main thread registers the plugin, runs commands, drains the rings and
 * writes the output; every instance has one thread of its own, on which all of
 * its callbacks run.
 */
#ifndef HOST_ENGINE_H
#define HOST_ENGINE_H

#include "options.h"
#include "ring.h"

struct proxy;
struct cmt;
struct metric;
struct collector;

struct flb_input_instance {
    struct flb_input_instance *next, *prev;
    struct engine *engine;
    const char *plugin; /* its name */
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

#endif
