//go:build ignore

/*
 * ring.c - a bounded ring, which an instance's thread fills and the main thread
 * drains. As in src/flb_ring_buffer.c.
 */
#include "ring.h"
#include "message.h"

#include <stdlib.h>
#include <string.h>

void ring_init(struct ring *r, size_t cap) {
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->mu, NULL);
    r->slot = calloc(cap, sizeof *r->slot);
    r->cap = cap;
    r->window = 5;
}

struct raw *ring_pop(struct ring *r) {
    struct raw *x = NULL;
    pthread_mutex_lock(&r->mu);
    if (r->len) {
        x = r->slot[r->head];
        r->head = (r->head + 1) % r->cap;
        r->len--;
    }
    pthread_mutex_unlock(&r->mu);
    return x;
}

void ring_free(struct ring *r) {
    struct raw *x;
    while ((x = ring_pop(r)))
        free(x);
    free(r->slot);
    pthread_mutex_destroy(&r->mu);
}

size_t ring_len(struct ring *r) {
    pthread_mutex_lock(&r->mu);
    size_t n = r->len;
    pthread_mutex_unlock(&r->mu);
    return n;
}

uint64_t ring_records(struct ring *r) {
    uint64_t n = 0;
    pthread_mutex_lock(&r->mu);
    for (size_t i = 0; i < r->len; i++)
        n += r->slot[(r->head + i) % r->cap]->records;
    pthread_mutex_unlock(&r->mu);
    return n;
}

/* ring_push is false when the ring is full. */
bool ring_push(struct ring *r, struct raw *x) {
    bool wake = false;
    pthread_mutex_lock(&r->mu);
    bool fits = r->len < r->cap;
    if (fits) {
        r->slot[(r->head + r->len++) % r->cap] = x;
        wake = r->live && !r->signalled && r->len * 8 >= r->cap * 8 * r->window / 100;
        r->signalled |= wake;
    }
    pthread_mutex_unlock(&r->mu);
    if (wake)
        host_wake();
    return fits;
}
