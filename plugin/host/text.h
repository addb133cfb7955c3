/* text.h - a text that grows, and JSON strings in it. */
#ifndef HOST_TEXT_H
#define HOST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text of len bytes, which end in 0. Its owner frees p. */
struct text { char *p; size_t len, cap; };
/* Adds bytes, or what printf makes. Without memory the process ends. */
void text_add(struct text *t, const void *p, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a JSON string with its quotes. */
void text_json(struct text *t, const char *s, size_t n);
void text_escape(struct text *t, const uint8_t *p, size_t n, bool raw);
bool text_is_utf8(const uint8_t *p, size_t n);

#endif
