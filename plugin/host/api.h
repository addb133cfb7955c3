/* api.h - what a plugin can call: struct flb_api, and what it finds by dlsym. */
#ifndef HOST_API_H
#define HOST_API_H

#include "engine.h"

/* Fills in what plugins call through the struct; the rest stays as it is. */
void api_fill(struct flb_api *api);
/* Fills input_global_properties, with the stride of the layout. */
void api_global_map(const struct layout *l);
/* Exported: the alias, or the name. The instance owns it. */
const char *flb_input_name(struct flb_input_instance *ins);
int flb_input_set_property(struct flb_input_instance *ins, const char *key, const char *value);

#endif
