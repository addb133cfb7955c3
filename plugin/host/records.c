//go:build ignore

/*
 * records.c - msgpack log events: counting them, and writing them as JSON lines.
 *
 * One line is {"tag":T,"time":"SEC.NNNNNNNNN","record":{...}}, with "metadata"
 * before "record" when there is any. JSON has no word for some of msgpack, so:
 *
 *   str that is valid UTF-8   a JSON string
 *   str that is not           {"__raw":"..."}, every byte as the code point of
 *                             the same number (0x80 and above as \u00XX)
 *   bin                       {"__bin":"..."}, written likewise
 *   ext                       {"__ext":TYPE,"data":"..."}, likewise
 *   a key that is no such str its JSON text as a string; not UTF-8: "__raw:..."
 *   float                     always with a '.' or an exponent; NaN and the
 *                             infinities as {"__float":"nan"}
 */
#include "records.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NIL, BOOL, UINT, INT, FLOAT, STR, BIN, EXT, ARRAY, MAP, BAD };

struct token {
    enum kind kind;
    uint64_t n; /* value, bytes of data, or elements */
    double d;
    int width; /* of a float, in bytes */
    int8_t ext;
    const uint8_t *data;
};

static inline uint64_t be(const uint8_t *p, int n) {
    switch (n) {
    case 1: return *p;
    case 2: { uint16_t v; memcpy(&v, p, 2); return be16toh(v); }
    case 4: { uint32_t v; memcpy(&v, p, 4); return be32toh(v); }
    default: { uint64_t v; memcpy(&v, p, 8); return be64toh(v); }
    }
}

/* next reads one token (of an array or map its head only) and returns the
 * place behind it, or NULL when the bytes end early or mean nothing. */
static inline const uint8_t *next(const uint8_t *p, const uint8_t *end, struct token *t) {
    /* msgpack spec, formats 0xc0-0xdf: kind, and bytes of length or value */
    static const struct { uint8_t kind, width; } head[32] = {
        {NIL, 0}, {BAD, 0}, {BOOL, 0}, {BOOL, 0}, {BIN, 1}, {BIN, 2}, {BIN, 4},
        {EXT, 1}, {EXT, 2}, {EXT, 4}, {FLOAT, 4}, {FLOAT, 8}, {UINT, 1}, {UINT, 2},
        {UINT, 4}, {UINT, 8}, {INT, 1}, {INT, 2}, {INT, 4}, {INT, 8}, {EXT, 0},
        {EXT, 0}, {EXT, 0}, {EXT, 0}, {EXT, 0}, {STR, 1}, {STR, 2}, {STR, 4},
        {ARRAY, 2}, {ARRAY, 4}, {MAP, 2}, {MAP, 4},
    };
    if (p >= end)
        return NULL;
    uint8_t b = *p++;
    if (b < 0x80) {
        t->kind = UINT, t->n = b;
        return p;
    }
    if (b >= 0xe0) {
        t->kind = INT, t->n = (uint64_t)(int64_t)(int8_t)b;
        return p;
    }
    if (b < 0xa0) {
        t->kind = b < 0x90 ? MAP : ARRAY, t->n = b & 15;
        return p;
    }
    if (b < 0xc0) {
        t->kind = STR, t->n = b & 31;
    } else {
        int w = head[b - 0xc0].width;
        t->kind = head[b - 0xc0].kind;
        if (t->kind == BAD || end - p < w)
            return NULL;
        t->n = w ? be(p, w) : 0;
        p += w;
        switch (t->kind) {
        case BOOL:
            t->n = b & 1;
            return p;
        case FLOAT:
            t->width = w;
            if (w == 4) {
                uint32_t u = (uint32_t)t->n;
                float f;
                memcpy(&f, &u, 4);
                t->d = f;
            } else {
                memcpy(&t->d, &t->n, 8);
            }
            return p;
        case INT:
            if (w < 8)
                t->n = (uint64_t)((int64_t)(t->n << (64 - 8 * w)) >> (64 - 8 * w));
            return p;
        case STR:
        case BIN:
            break;
        case EXT:
            if (!w)
                t->n = 1u << (b - 0xd4);
            if (p >= end)
                return NULL;
            t->ext = (int8_t)*p++;
            break;
        default:
            return p;
        }
    }
    if ((uint64_t)(end - p) < t->n)
        return NULL;
    t->data = p;
    return p + t->n;
}

static const uint8_t *skip(const uint8_t *p, const uint8_t *end) {
    struct token t;
    for (uint64_t need = 1; need; need--) {
        if (!(p = next(p, end, &t)))
            return NULL;
        if (t.kind == ARRAY)
            need += t.n;
        else if (t.kind == MAP)
            need += 2 * t.n;
    }
    return p;
}

/* records_count returns how many whole objects p begins with; *valid is where
 * they end, n for a good buffer. */
size_t records_count(const uint8_t *p, size_t n, size_t *valid) {
    const uint8_t *at = p, *end = p + n, *q;
    size_t records = 0;
    while (at < end && (q = skip(at, end))) {
        at = q;
        records++;
    }
    *valid = at - p;
    return records;
}

/* records_drop returns a copy without every Nth record, counted in *seen. */
uint8_t *records_drop(const uint8_t *p, size_t n, long every, uint64_t *seen, size_t *out) {
    const uint8_t *end = p + n, *q;
    uint8_t *copy = malloc(n);
    *out = 0;
    for (; p < end && (q = skip(p, end)); p = q) {
        if (++*seen % every == 0)
            continue;
        memcpy(copy + *out, p, q - p);
        *out += q - p;
    }
    return copy;
}

static void quoted(struct text *t, const char *before, struct token *k) {
    text_add(t, before, strlen(before));
    text_escape(t, k->data, k->n, true);
    text_add(t, "\"}", 2);
}

static const uint8_t *value(struct text *t, const uint8_t *p, const uint8_t *end, int depth);

static const uint8_t *key(struct text *t, const uint8_t *p, const uint8_t *end, int depth) {
    struct token k;
    const uint8_t *q = next(p, end, &k);
    if (!q)
        return NULL;
    if (k.kind == STR) {
        bool raw = !text_is_utf8(k.data, k.n);
        text_printf(t, raw ? "\"__raw:" : "\"");
        text_escape(t, k.data, k.n, raw);
        text_add(t, "\"", 1);
        return q;
    }
    struct text inner = {0};
    if ((q = value(&inner, p, end, depth)))
        text_json(t, inner.p, inner.len);
    free(inner.p);
    return q;
}

static const uint8_t *value(struct text *t, const uint8_t *p, const uint8_t *end, int depth) {
    struct token k;
    if (depth > 64 || !(p = next(p, end, &k)))
        return NULL;
    switch (k.kind) {
    case NIL:
        text_add(t, "null", 4);
        return p;
    case BOOL:
        text_printf(t, k.n ? "true" : "false");
        return p;
    case UINT:
        text_printf(t, "%llu", (unsigned long long)k.n);
        return p;
    case INT:
        text_printf(t, "%lld", (long long)k.n);
        return p;
    case FLOAT: {
        char s[40];
        if (!isfinite(k.d)) {
            text_printf(t, "{\"__float\":\"%s\"}", isnan(k.d) ? "nan" : k.d > 0 ? "inf" : "-inf");
            return p;
        }
        snprintf(s, sizeof s, k.width == 4 ? "%.9g" : "%.17g", k.d);
        text_printf(t, strpbrk(s, ".e") ? "%s" : "%s.0", s);
        return p;
    }
    case STR:
        if (text_is_utf8(k.data, k.n))
            text_json(t, (const char *)k.data, k.n);
        else
            quoted(t, "{\"__raw\":\"", &k);
        return p;
    case BIN:
        quoted(t, "{\"__bin\":\"", &k);
        return p;
    case EXT:
        text_printf(t, "{\"__ext\":%d,", k.ext);
        quoted(t, "\"data\":\"", &k);
        return p;
    case ARRAY:
    case MAP:
        text_add(t, k.kind == MAP ? "{" : "[", 1);
        for (uint64_t i = 0; i < k.n; i++) {
            if (i)
                text_add(t, ",", 1);
            if (k.kind == MAP) {
                if (!(p = key(t, p, end, depth + 1)))
                    return NULL;
                text_add(t, ":", 1);
            }
            if (!(p = value(t, p, end, depth + 1)))
                return NULL;
        }
        text_add(t, k.kind == MAP ? "}" : "]", 1);
        return p;
    default:
        return NULL;
    }
}

/* A time: EventTime (ext 0: seconds and nanoseconds, 4 bytes each), else a number. */
static const uint8_t *when(struct text *t, const uint8_t *p, const uint8_t *end) {
    struct token k = {0};
    if (!(p = next(p, end, &k)))
        return NULL;
    if (k.kind == EXT && k.ext == 0 && k.n == 8)
        text_printf(t, "%llu.%09llu", (unsigned long long)be(k.data, 4), (unsigned long long)be(k.data + 4, 4));
    else if (k.kind == UINT || k.kind == INT)
        text_printf(t, "%lld.000000000", (long long)k.n);
    else if (k.kind == FLOAT)
        text_printf(t, "%.9f", k.d);
    else
        return NULL;
    return p;
}

/* One log event: [TIME, MAP] or, since 2.1, [[TIME, METADATA], MAP]. */
static const uint8_t *event(struct text *t, const uint8_t *p, const uint8_t *end) {
    struct token k;
    if (!(p = next(p, end, &k)) || k.kind != ARRAY || k.n != 2)
        return NULL;
    text_add(t, "\"time\":\"", 8);
    const uint8_t *q = next(p, end, &k);
    if (q && k.kind == ARRAY) {
        if (k.n != 2 || !(p = when(t, q, end)))
            return NULL;
        text_add(t, "\"", 1);
        if (!(q = next(p, end, &k)) || k.kind != MAP)
            return NULL;
        if (k.n) {
            text_add(t, ",\"metadata\":", 12);
            q = value(t, p, end, 0);
        }
        p = q;
    } else if ((p = when(t, p, end))) {
        text_add(t, "\"", 1);
    }
    if (!p || !next(p, end, &k) || k.kind != MAP)
        return NULL;
    text_add(t, ",\"record\":", 10);
    return value(t, p, end, 0);
}

/* records_json appends one line per record; false if a record is no log event,
 * and then nothing of it and of what follows is written. */
bool records_json(struct text *t, const char *tag, const uint8_t *p, size_t n) {
    const uint8_t *end = p + n;
    while (p < end) {
        size_t start = t->len;
        text_add(t, "{\"tag\":", 7);
        text_json(t, tag, strlen(tag));
        text_add(t, ",", 1);
        if (!(p = event(t, p, end))) {
            t->len = start;
            return false;
        }
        text_add(t, "}\n", 2);
    }
    return true;
}
