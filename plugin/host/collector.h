/* collector.h - what an instance's event loop waits for. */
#ifndef HOST_COLLECTOR_H
#define HOST_COLLECTOR_H

#include "abi.h"

typedef int (*collect_fn)(struct flb_input_instance *, struct flb_config *, void *);

/* Adds a timer of Fluent Bit's seconds; returns its id. */
int collector_timer(struct flb_input_instance *ins, collect_fn collect);
/* Stops and resumes one by its id. Any thread. */
void collector_stop(struct flb_input_instance *ins, int id);
void collector_resume(struct flb_input_instance *ins, int id);
/* Calls the collector whose descriptor is readable. The instance's thread. */
void collector_handle(struct flb_input_instance *ins, int fd);
/* Starts all, when Init was good. */
void collectors_start(struct flb_input_instance *ins);
/* Frees all, and closes timers. The instance has ended. */
void collectors_free(struct flb_input_instance *ins);

#endif
