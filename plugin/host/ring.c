//go:build ignore

/*
 * ring.c - the way from the instance's thread to the main thread:
 * flb_input_log_append copies into a bounded ring, the main thread drains it.
 * As in src/flb_input_chunk.c and src/flb_ring_buffer.c.
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ring_init(struct ring *r, size_t cap) {
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->mu, NULL);
    r->slot = calloc(cap, sizeof *r->slot);
    r->cap = cap;
    r->window = 5;
}

static struct raw *ring_pop(struct ring *r) {
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

static bool ring_push(struct ring *r, struct raw *x) {
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

static struct raw *raw_new(struct flb_input_instance *ins, const char *tag, size_t tag_len, const void *buf, size_t size) {
    bool own = tag && tag_len;
    struct raw *x = malloc(sizeof *x + size + (own ? tag_len + 1 : 0));
    if (!x)
        abort();
    *x = (struct raw){.ins = ins, .size = size, .data = (uint8_t *)(x + 1)};
    memcpy(x->data, buf, size);
    if (own) {
        x->tag = (char *)x->data + size;
        memcpy(x->tag, tag, tag_len);
        x->tag[tag_len] = 0;
    }
    return x;
}

static bool no_chunk(void) {
    long left = atomic_load(&full_first);
    while (left > 0 && !atomic_compare_exchange_weak(&full_first, &left, left - 1))
        ;
    return left > 0;
}

/* As input_chunk_append_raw: an append for which there is no chunk is gone; the
 * others are counted, then filtered, then written. What is written outlives a
 * kill with the output's file only, and the file has it at once. */
static int chunk_append(struct raw *x) {
    struct flb_input_instance *ins = x->ins;
    char *label[] = {(char *)flb_input_name(ins)};
    size_t size = x->size;
    if (input_paused(ins)) {
        free(x);
        return -1;
    }
    if (no_chunk()) {
        log_error("[input chunk] no available chunk");
        free(x);
        return -1;
    }
    for (long i = 0; i < opt.routes; i++) {
        cmt_counter_add(ins->m_records, cmt_now(), x->records, 1, label);
        cmt_counter_add(ins->m_bytes, cmt_now(), size, 1, label);
    }
    usleep(atomic_load(&filter_ms) * 1000);
    ins->drained += x->records;
    ins->mem += size;
    output_push(x);
    if (ins->mem_limit && ins->mem >= ins->mem_limit) {
        log_warn("[input] %s paused (mem buf overlimit - event of size %zuB exceeded limit %zu to %zuB)",
                 flb_input_name(ins), size, ins->mem_limit, ins->mem);
        input_pause(ins);
        ins->limit_paused = true;
    }
    return 0;
}

/* ring_collect moves what the rings of all running instances hold. */
void ring_collect(struct engine *e) {
    for (struct flb_input_instance *ins = e->first; ins; ins = ins->next) {
        struct raw *x;
        /* before pauses were announced, what came out while paused was gone */
        while ((!input_paused(ins) || !opt.layout->hooks) && (x = ring_pop(&ins->ring)))
            chunk_append(x);
        pthread_mutex_lock(&ins->ring.mu);
        ins->ring.signalled = false;
        pthread_mutex_unlock(&ins->ring.mu);
    }
}

static bool refused(struct flb_input_instance *ins) {
    long left = atomic_load(&refuse_first), every = atomic_load(&refuse_every);
    while (left > 0 && !atomic_compare_exchange_weak(&refuse_first, &left, left - 1))
        ;
    bool no = left > 0 || (every > 0 && atomic_load(&ins->appends) % every == 0);
    if (no)
        atomic_fetch_add(&ins->refused, 1);
    return no;
}

/* As an input processor would: on the caller's thread, before the ring. */
static struct raw *drop_some(struct raw *x) {
    static _Atomic uint64_t dropped_at;
    uint64_t seen = atomic_load(&dropped_at);
    size_t size, valid;
    uint8_t *kept = records_drop(x->data, x->size, opt.drop_every, &seen, &size);
    atomic_store(&dropped_at, seen);
    struct raw *y = raw_new(x->ins, x->tag, x->tag ? strlen(x->tag) : 0, kept, size);
    y->records = records_count(y->data, size, &valid);
    free(kept);
    free(x);
    return y;
}

/* Copies buf; 0 means it is in the ring, not yet in a chunk. A full ring is
 * tried again ten times, 100 ms apart. */
int flb_input_log_append(struct flb_input_instance *ins, const char *tag, size_t tag_len, const void *buf, size_t size) {
    char *label[] = {(char *)flb_input_name(ins)};
    size_t valid = 0;
    atomic_fetch_add(&ins->appends, 1);
    if (!size || refused(ins))
        return -1;
    struct raw *x = raw_new(ins, tag, tag_len, buf, size);
    x->records = records_count(x->data, size, &valid);
    if (valid != size)
        violation("append of %zu bytes is no msgpack behind byte %zu", size, valid);
    size_t records = x->records;
    if (opt.drop_every > 0)
        x = drop_some(x);
    if (!x->size) {
        free(x);
        atomic_fetch_add(&ins->appended, records);
        return 0;
    }
    /* from here on x may already belong to the main thread */
    if (!ins->threaded) {
        if (chunk_append(x))
            return -1;
    } else {
        for (int tries = 0; !ring_push(&ins->ring, x); tries++) {
            if (tries == 10) {
                log_error("[input:%s:%s] could not enqueue records into the ring buffer",
                          proxy_name(ins->engine->proxy), flb_input_name(ins));
                cmt_counter_add(ins->m_failures, cmt_now(), 1, 1, label);
                free(x);
                return -1;
            }
            cmt_counter_add(ins->m_retries, cmt_now(), 1, 1, label);
            usleep(100000);
        }
        cmt_counter_add(ins->m_writes, cmt_now(), 1, 1, label);
    }
    atomic_fetch_add(&ins->appended, records);
    return 0;
}
