//go:build ignore

/* text.c - a text that grows, and JSON strings in it. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_add(struct text *t, const void *p, size_t n) {
    if (t->len + n + 1 > t->cap) {
        t->cap = (t->len + n + 1) * 2;
        t->p = realloc(t->p, t->cap);
        if (!t->p)
            abort();
    }
    if (n)
        memcpy(t->p + t->len, p, n);
    t->len += n;
    t->p[t->len] = 0;
}

void text_printf(struct text *t, const char *fmt, ...) {
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < (int)sizeof small) {
        text_add(t, small, n);
        return;
    }
    char *big = malloc(n + 1);
    va_start(ap, fmt);
    vsnprintf(big, n + 1, fmt, ap);
    va_end(ap);
    text_add(t, big, n);
    free(big);
}

/* The number of bytes of the UTF-8 sequence at p, 0 when it is none. */
static size_t utf8_len(const uint8_t *p, const uint8_t *end) {
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

bool text_is_utf8(const uint8_t *p, size_t n) {
    const uint8_t *end = p + n;
    while (p < end) {
        size_t k = utf8_len(p, end);
        if (!k)
            return false;
        p += k;
    }
    return true;
}

/* text_escape writes bytes inside a JSON string; with raw, those >= 0x80 as \u00XX. */
void text_escape(struct text *t, const uint8_t *p, size_t n, bool raw) {
    const uint8_t *end = p + n, *from = p;
    for (; p < end; p++) {
        if (*p >= 0x20 && *p != '"' && *p != '\\' && (*p < 0x80 || !raw))
            continue;
        text_add(t, from, p - from);
        from = p + 1;
        const char *at = strchr("\"\"\\\\\nn\rr\tt\bb\ff", *p);
        if (*p && at)
            text_add(t, (char[]){'\\', at[1]}, 2);
        else
            text_printf(t, "\\u%04x", *p);
    }
    text_add(t, from, end - from);
}

void text_json(struct text *t, const char *s, size_t n) {
    text_add(t, "\"", 1);
    text_escape(t, (const uint8_t *)s, n, !text_is_utf8((const uint8_t *)s, n));
    text_add(t, "\"", 1);
}
