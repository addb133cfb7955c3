//go:build ignore

/*
 * append.c - the way of an append: flb_input_log_append copies it into the
 * instance's ring, the main thread takes it from there into a chunk. As in
 * src/flb_input_chunk.c.
 */
#define _GNU_SOURCE
#include "append.h"
#include "api.h"
#include "cmt.h"
#include "engine.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "records.h"
#include "ring.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* counted is how many records there are, which is checked. */
static size_t counted(const void *buf, size_t size) {
    size_t valid = 0, records = records_count(buf, size, &valid);
    if (valid != size)
        violation("append of %zu bytes is no msgpack behind byte %zu", size, valid);
    return records;
}

/* Copies buf; 0 means it is in the ring, not yet in a chunk. A full ring is
 * tried again ten times, 100 ms apart. */
static int append(struct flb_input_instance *ins, size_t records, const char *tag, size_t tag_len, const void *buf, size_t size) {
    char *label[] = {(char *)flb_input_name(ins)};
    atomic_fetch_add(&ins->appends, 1);
    if (!size || refused(ins))
        return -1;
    struct raw *x = raw_new(ins, tag, tag_len, buf, size);
    x->records = records;
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
                          ins->plugin, flb_input_name(ins));
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

int flb_input_log_append(struct flb_input_instance *ins, const char *tag, size_t tag_len, const void *buf, size_t size) {
    return append(ins, counted(buf, size), tag, tag_len, buf, size);
}

/* As above, of records that their input has counted: Fluent Bit believes it. */
int flb_input_log_append_records(struct flb_input_instance *ins, size_t records, const char *tag, size_t tag_len,
                                 const void *buf, size_t size) {
    size_t there = counted(buf, size);
    if (there != records)
        violation("an append of %zu records is said to be one of %zu", there, records);
    return append(ins, there, tag, tag_len, buf, size);
}
