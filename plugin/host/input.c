//go:build ignore

/*
 * input.c - an input instance: its thread and event loop, as in src/flb_input.c
 * and src/flb_input_thread.c.
 */
#define _GNU_SOURCE
#include "input.h"
#include "api.h"
#include "cmt.h"
#include "collector.h"
#include "message.h"
#include "options.h"
#include "proxy.h"
#include "ring.h"
#include "say.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

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
    collectors_start(ins);
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

/* input_dispatch runs one round of the instance's event loop. */
void input_dispatch(struct flb_input_instance *ins, int timeout_ms) {
    struct epoll_event ev[16];
    int n = epoll_wait(ins->epoll, ev, 16, timeout_ms);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == ins->pipe[0])
            handle_message(ins);
        else
            collector_handle(ins, ev[i].data.fd);
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
    ins->plugin = proxy_name(e->proxy);
    snprintf(ins->name, sizeof ins->name, "%s.%d", ins->plugin, id);
    ins->engine = e;
    ins->epoll = ins->pipe[0] = ins->pipe[1] = -1;
    ins->log_level = host_log_level;
    ins->context = proxy_context(e->proxy);
    ins->threaded = !opt.no_thread;
    pthread_mutex_init(&ins->mu, NULL);
    pthread_cond_init(&ins->cond, NULL);
    ring_init(&ins->ring, 1024);
    bool bad = opt.tag && flb_input_set_property(ins, "tag", opt.tag);
    for (struct property *p = s->props; p && !bad; p = p->next)
        if ((bad = flb_input_set_property(ins, p->key, p->value)))
            log_error("[config] could not configure property '%s' on input plugin with section name '%s'",
                      p->key, ins->plugin);
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
    ins->cmt = cmt_create();
    ins->m_bytes = metric(ins, false, "bytes_total", "Number of input bytes.");
    ins->m_records = metric(ins, false, "records_total", "Number of input records.");
    ins->m_paused = metric(ins, true, "ingestion_paused", "Is the input paused or not?");
    ins->m_writes = metric(ins, false, "ring_buffer_writes_total", "Number of ring buffer writes.");
    ins->m_retries = metric(ins, false, "ring_buffer_retries_total", "Number of ring buffer retries.");
    ins->m_failures = metric(ins, false, "ring_buffer_retry_failures_total", "Number of ring buffer retry failures.");
    if (ins->log_level >= FLB_LOG_INFO)
        log_info("[input:%s:%s] initializing", ins->plugin, flb_input_name(ins));
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
        log_info("[input:%s:%s] thread instance initialized", ins->plugin, flb_input_name(ins));
    return 0;
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
    collectors_free(ins);
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
