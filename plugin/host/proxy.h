/* proxy.h - the loaded plugin. */
#ifndef HOST_PROXY_H
#define HOST_PROXY_H

#include "engine.h"

struct proxy *proxy_load(bool hot_reloading);
/* Unregisters and closes it. */
void proxy_unload(struct proxy *p);
int proxy_check(struct proxy *p, struct property *props);
/* Prints the config_map. */
void proxy_help(struct proxy *p);
/* The name that it registered. */
const char *proxy_name(struct proxy *p);
/* A new context of an instance, in the layout's form. */
void *proxy_context(struct proxy *p);
/* Init: 0, or -1 where that is refused. This and all below: the instance's thread. */
int proxy_init(struct proxy *p, struct flb_input_instance *ins);
void proxy_pre_run(struct flb_input_instance *ins);
void proxy_pause(struct flb_input_instance *ins);
void proxy_resume(struct flb_input_instance *ins);
void proxy_exit(struct flb_input_instance *ins);

#endif
