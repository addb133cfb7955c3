/* command.h - the commands on stdin. */
#ifndef HOST_COMMAND_H
#define HOST_COMMAND_H

#include "engine.h"

enum request { REQ_NONE, REQ_RELOAD, REQ_STOP };
bool command_read(struct engine *e, enum request *want); /* false at the end of stdin */
bool command_pending(void);
void command_check(void); /* answers a wait that is over */

#endif
