//go:build ignore

/*
 * collector.c - what an instance's event loop waits for: descriptors of the
 * plugin's, and timers. As in src/flb_input.c.
 */
#define _GNU_SOURCE
#include "collector.h"
#include "engine.h"
#include "options.h"
#include "say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct collector {
    struct collector *next;
    int id;
    int fd; /* the plugin's, or the timer's */
    bool timer, running;
    collect_fn collect;
};

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

int collector_timer(struct flb_input_instance *ins, collect_fn collect) {
    struct collector *c = collector_add(ins, collect, -1);
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

void collectors_start(struct flb_input_instance *ins) {
    pthread_mutex_lock(&ins->mu);
    for (struct collector *c = ins->collectors; c; c = c->next)
        collector_start(ins, c);
    pthread_mutex_unlock(&ins->mu);
}

void collector_handle(struct flb_input_instance *ins, int fd) {
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

void collectors_free(struct flb_input_instance *ins) {
    for (struct collector *c = ins->collectors, *next; c; c = next) {
        next = c->next;
        if (c->timer && c->running)
            close(c->fd);
        free(c);
    }
}
