/* ring.h - from an instance's thread to the main thread. */
#ifndef HOST_RING_H
#define HOST_RING_H

#include "abi.h"

#include <pthread.h>
#include <stdbool.h>

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

/* An empty ring of cap slots; ring_free frees what is left in it. */
void ring_init(struct ring *r, size_t cap);
void ring_free(struct ring *r);
bool ring_push(struct ring *r, struct raw *x);
/* The oldest, NULL if there is none. */
struct raw *ring_pop(struct ring *r);
/* Appends, and records, that wait. */
size_t ring_len(struct ring *r);
uint64_t ring_records(struct ring *r);

#endif
