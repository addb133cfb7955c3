//go:build ignore

/*
 * cmt.c - counters and gauges, and their text, as cmetrics makes them.
 *
 * The text follows lib/cmetrics/src/cmt_encode_prometheus.c: HELP and TYPE once
 * per metric, counters before gauges, values as %.17g, a timestamp in
 * milliseconds only on request.
 */
#include "cmt.h"
#include "text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sample {
    struct sample *next;
    char **labels;
    double value;
    uint64_t ts; /* ns */
};

struct metric {
    struct metric *next;
    struct cmt *cmt;
    char *name, *help;
    int n;
    char **keys;
    struct sample *samples;
};

struct cmt {
    pthread_mutex_t mu;
    struct metric *list[2]; /* counters, gauges */
};

struct sds { /* lib/cfl/include/cfl/cfl_sds.h: callers hold a pointer to buf */
    uint64_t len, alloc;
    char buf[];
};

uint64_t cmt_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static char **copy_strings(int n, char **s) {
    char **c = calloc(n + 1, sizeof *c);
    for (int i = 0; i < n; i++)
        c[i] = s[i] ? strdup(s[i]) : NULL;
    return c;
}

static void free_strings(char **s, int n) {
    for (int i = 0; i < n; i++)
        free(s[i]);
    free(s);
}

struct cmt *cmt_create(void) {
    struct cmt *c = calloc(1, sizeof *c);
    pthread_mutex_init(&c->mu, NULL);
    return c;
}

void cmt_destroy(struct cmt *c) {
    for (int kind = 0; kind < 2; kind++) {
        for (struct metric *m = c->list[kind], *next; m; m = next) {
            next = m->next;
            for (struct sample *s = m->samples, *after; s; s = after) {
                after = s->next;
                free_strings(s->labels, m->n);
                free(s);
            }
            free_strings(m->keys, m->n);
            free(m->name);
            free(m->help);
            free(m);
        }
    }
    pthread_mutex_destroy(&c->mu);
    free(c);
}

static struct metric *metric_new(struct cmt *c, int kind, char *ns, char *sub, char *name, char *help, int n, char **keys) {
    struct text full = {0};
    struct metric *m = calloc(1, sizeof *m), **at;
    if (ns && *ns)
        text_printf(&full, "%s_", ns);
    if (sub && *sub)
        text_printf(&full, "%s_", sub);
    text_add(&full, name, strlen(name));
    m->cmt = c;
    m->name = full.p;
    m->help = strdup(help);
    m->n = n;
    m->keys = copy_strings(n, keys);
    if (!n) /* without labels it is shown from the beginning */
        m->samples = calloc(1, sizeof *m->samples);
    pthread_mutex_lock(&c->mu);
    for (at = &c->list[kind]; *at; at = &(*at)->next)
        ;
    *at = m;
    pthread_mutex_unlock(&c->mu);
    return m;
}

struct metric *cmt_counter_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys) {
    return metric_new(c, 0, ns, subsystem, name, help, n, keys);
}

struct metric *cmt_gauge_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys) {
    return metric_new(c, 1, ns, subsystem, name, help, n, keys);
}

/* Needs cmt->mu. */
static struct sample *sample_get(struct metric *m, char **labels) {
    struct sample **at = &m->samples;
    for (; *at; at = &(*at)->next) {
        int i = 0;
        while (i < m->n && labels[i] && (*at)->labels[i] && !strcmp(labels[i], (*at)->labels[i]))
            i++;
        if (i == m->n)
            return *at;
    }
    *at = calloc(1, sizeof **at);
    (*at)->labels = copy_strings(m->n, labels);
    return *at;
}

static int change(struct metric *m, uint64_t ts, double v, int n, char **labels, bool add, bool may_fall) {
    if (n != m->n)
        return -1;
    pthread_mutex_lock(&m->cmt->mu);
    struct sample *s = sample_get(m, labels);
    bool good = add || may_fall || s->value <= v;
    if (good) {
        s->value = add ? s->value + v : v;
        s->ts = ts;
    }
    pthread_mutex_unlock(&m->cmt->mu);
    return good ? 0 : -1;
}

int cmt_counter_add(struct metric *m, uint64_t ts, double v, int n, char **labels) {
    return change(m, ts, v, n, labels, true, false);
}

int cmt_counter_inc(struct metric *m, uint64_t ts, int n, char **labels) {
    return change(m, ts, 1, n, labels, true, false);
}

int cmt_counter_set(struct metric *m, uint64_t ts, double v, int n, char **labels) {
    return change(m, ts, v, n, labels, false, false);
}

int cmt_gauge_set(struct metric *m, uint64_t ts, double v, int n, char **labels) {
    return change(m, ts, v, n, labels, false, true);
}

int cmt_gauge_add(struct metric *m, uint64_t ts, double v, int n, char **labels) {
    return change(m, ts, v, n, labels, true, true);
}

static void escaped(struct text *t, const char *s, bool quote) {
    for (; *s; s++) {
        if (*s == '\\')
            text_add(t, "\\\\", 2);
        else if (*s == '\n')
            text_add(t, "\\n", 2);
        else if (*s == '"' && quote)
            text_add(t, "\\\"", 2);
        else
            text_add(t, s, 1);
    }
}

static void encode(struct text *t, struct metric *m, const char *type, int add_timestamp) {
    if (!m->samples)
        return;
    text_printf(t, "# HELP %s ", m->name);
    escaped(t, m->help, false);
    text_printf(t, "\n# TYPE %s %s\n", m->name, type);
    for (struct sample *s = m->samples; s; s = s->next) {
        bool any = false;
        text_add(t, m->name, strlen(m->name));
        for (int i = 0; i < m->n; i++) {
            if (!s->labels[i])
                continue;
            text_printf(t, "%s%s=\"", any ? "," : "{", m->keys[i]);
            escaped(t, s->labels[i], true);
            text_add(t, "\"", 1);
            any = true;
        }
        if (any)
            text_add(t, "}", 1);
        text_printf(t, " %.17g", s->value);
        if (add_timestamp)
            text_printf(t, " %" PRIu64, s->ts / 1000000);
        text_add(t, "\n", 1);
    }
}

char *cmt_encode_prometheus_create(struct cmt *c, int add_timestamp) {
    struct text t = {0};
    text_add(&t, "", 0);
    pthread_mutex_lock(&c->mu);
    for (int kind = 0; kind < 2; kind++)
        for (struct metric *m = c->list[kind]; m; m = m->next)
            encode(&t, m, kind ? "gauge" : "counter", add_timestamp);
    pthread_mutex_unlock(&c->mu);
    struct sds *s = malloc(sizeof *s + t.len + 1);
    s->len = s->alloc = t.len;
    memcpy(s->buf, t.p, t.len + 1);
    free(t.p);
    return s->buf;
}

void cmt_encode_prometheus_destroy(char *text) {
    free(text - offsetof(struct sds, buf));
}
