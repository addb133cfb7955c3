/* message.h - words between threads. */
#ifndef HOST_MESSAGE_H
#define HOST_MESSAGE_H

#include "abi.h"

#include <stdbool.h>

enum message { MSG_START, MSG_PAUSE, MSG_RESUME, MSG_EXIT }; /* an answer's number above 8 bits */
/* Sends a message to an instance's thread. */
void input_send(struct flb_input_instance *ins, int msg);
void input_pause(struct flb_input_instance *ins);
/* Is it paused, by a limit or by hand? Main thread. */
bool input_paused(struct flb_input_instance *ins);

int answer_begin(const char *what);
/* Sends a message that the answer waits for. */
void answer_send(struct flb_input_instance *ins, int msg, int answer);
/* One is carried out, or no more will be sent. */
void answer_done(int answer);

int wake_open(void);
/* Wakes the main thread. Any thread. */
void host_wake(void);

#endif
