/* records.h - msgpack log events. */
#ifndef HOST_RECORDS_H
#define HOST_RECORDS_H

#include "text.h"

size_t records_count(const uint8_t *p, size_t n, size_t *valid);
uint8_t *records_drop(const uint8_t *p, size_t n, long every, uint64_t *seen, size_t *out);
bool records_json(struct text *t, const char *tag, const uint8_t *p, size_t n);

#endif
