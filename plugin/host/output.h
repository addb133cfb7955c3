/* output.h - the queue of drained records and where they go. Main thread. */
#ifndef HOST_OUTPUT_H
#define HOST_OUTPUT_H

#include "ring.h"

/* Opens stdout, null, count or file:PATH: 0, or -1 with a word on stderr. */
int output_open(const char *spec);
/* Queues one append, which is the output's from then on. */
void output_push(struct raw *r);
void output_flush(void);         /* all that is queued may go out now */
bool output_pump(void);          /* writes what the rate allows; true: more is due */
size_t output_backlog(void);     /* bytes drained and not yet written */
size_t output_discard(void);     /* forgets the rest; its number of records */
/* Ends it; count says its last line. */
void output_close(void);
/* What was written. */
extern uint64_t output_records, output_bytes;
extern bool output_failed;

#endif
