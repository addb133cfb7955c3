/* append.h - the way of an append, into a ring and out of it. */
#ifndef HOST_APPEND_H
#define HOST_APPEND_H

#include "abi.h"

struct engine;
int flb_input_log_append(struct flb_input_instance *ins, const char *tag, size_t tag_len, const void *buf, size_t size);
void ring_collect(struct engine *e);

#endif
