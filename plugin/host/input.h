/* input.h - an instance, from its making to its end. */
#ifndef HOST_INPUT_H
#define HOST_INPUT_H

#include "engine.h"

/* Makes the instance of a section and links it to e; NULL if a property of it is bad. */
struct flb_input_instance *input_new(struct engine *e, int id, struct section *s);
int input_start(struct flb_input_instance *ins);
void input_dispatch(struct flb_input_instance *ins, int timeout_ms);
/* Ends it on its own thread, and waits for that. */
void input_exit(struct flb_input_instance *ins);
/* Frees it. It has exited, or was never started. */
void input_destroy(struct flb_input_instance *ins);

#endif
