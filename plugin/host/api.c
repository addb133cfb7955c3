//go:build ignore

/*
 * api.c - what the plugin can call: struct flb_api, and the symbols that the
 * fluent-bit binary exports (here by -rdynamic) and a plugin finds by dlsym.
 */
#define _GNU_SOURCE
#include "api.h"
#include "options.h"
#include "ring.h"
#include "say.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* --- struct flb_api, src/flb_api.c --- */

static const char *input_get_property(const char *key, struct flb_input_instance *ins) {
    return property_get(ins->props, key);
}

static void *input_get_cmt_instance(struct flb_input_instance *ins) {
    return ins->cmt;
}

static int input_log_check(struct flb_input_instance *ins, int level) {
    return ins->log_level >= level;
}

void api_fill(struct flb_api *api) {
    api->input_get_property = input_get_property;
    api->input_get_cmt_instance = input_get_cmt_instance;
    api->log_print = log_print;
    api->input_log_check = input_log_check;
}

/* --- exported functions, src/flb_input.c --- */

const char *flb_input_name(struct flb_input_instance *ins) {
    return ins->alias ? ins->alias : ins->name;
}

/* Replaces *at by value, which it takes over. */
static int keep(char **at, char *value) {
    free(*at);
    *at = value;
    return 0;
}

static int set_capacity(struct flb_input_instance *ins, const char *value) {
    int n = atoi(value);
    if (n <= 0)
        return -1;
    size_t window = ins->ring.window;
    ring_free(&ins->ring);
    ring_init(&ins->ring, n);
    ins->ring.window = window;
    return 0;
}

/* Shared properties end up in the instance and cannot be read back by
 * input_get_property; all others become properties of the plugin. */
int flb_input_set_property(struct flb_input_instance *ins, const char *key, const char *value) {
    static const char *ignored[] = {
        "log_suppress_interval", "routable", "listen", "host", "port", "ipv6", "tls", "storage.type",
        "storage.pause_on_chunks_overlimit", "rate_window", "rate_gate",
    };
    static const char *ignored_prefix[] = {"net.", "oauth2", "tls.", "rate_gate."};
    char *v = expand_env(value);
    int ret = 0;

    if (v && !strcasecmp(key, "tag"))
        return keep(&ins->tag, v);
    if (v && !strcasecmp(key, "alias"))
        return keep(&ins->alias, v);
    if (v && !strcasecmp(key, "log_level")) {
        ins->log_level = log_level_parse(v);
        ret = ins->log_level < 0 ? -1 : 0;
    } else if (v && !strcasecmp(key, "mem_buf_limit")) {
        int64_t n = parse_size(v);
        ins->mem_limit = n < 0 ? 0 : (size_t)n;
        ret = n < 0 ? -1 : 0;
    } else if (v && !strcasecmp(key, "threaded")) {
        ret = parse_bool(v);
        ins->threaded = ret == 1;
        ret = ret < 0 ? -1 : 0;
    } else if (v && opt.layout->remote_context && !strcasecmp(key, "thread.ring_buffer.capacity")) {
        ret = set_capacity(ins, v);
    } else if (v && opt.layout->remote_context && !strcasecmp(key, "thread.ring_buffer.window")) {
        int n = atoi(v);
        ret = n < 1 || n > 100 ? -1 : 0;
        if (!ret)
            ins->ring.window = n;
    } else {
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
            if (!strcasecmp(key, ignored[i]))
                goto done;
        for (size_t i = 0; i < sizeof ignored_prefix / sizeof *ignored_prefix; i++)
            if (!strncasecmp(key, ignored_prefix[i], strlen(ignored_prefix[i])))
                goto done;
        struct property **at = &ins->props, *p = calloc(1, sizeof *p);
        p->key = strdup(key);
        p->value = v;
        while (*at)
            at = &(*at)->next;
        *at = p;
        return 0;
    }
done:
    free(v);
    return ret;
}

/* src/flb_storage.c, since 4.0.3; nobody here calls it */
int flb_storage_chunk_count(void *config, int *memory, int *filesystem) {
    (void)config;
    *memory = *filesystem = 0;
    return 0;
}

/* --- input_global_properties, src/flb_input.c --- */

/* An array of flb_config_map with the stride of the chosen layout. */
char input_global_properties[16 * sizeof(struct flb_config_map)];

void api_global_map(const struct layout *l) {
    static const struct {
        int type;
        const char *name, *def, *desc;
    } map[] = {
        {FLB_CONFIG_MAP_STR, "tag", "default", "tag of the records"},
        {FLB_CONFIG_MAP_STR, "log_level", "info", "log level of this input"},
        {FLB_CONFIG_MAP_TIME, "log_suppress_interval", "0", "interval to suppress similar log lines"},
        {FLB_CONFIG_MAP_BOOL, "routable", "true", "records may be routed"},
        {FLB_CONFIG_MAP_STR, "alias", NULL, "name of the instance"},
        {FLB_CONFIG_MAP_SIZE, "mem_buf_limit", "0", "bytes in memory that pause the input"},
        {FLB_CONFIG_MAP_STR, "storage.type", "memory", "kind of buffering"},
        {FLB_CONFIG_MAP_BOOL, "storage.pause_on_chunks_overlimit", "false", "pause at the chunk limit"},
        {FLB_CONFIG_MAP_BOOL, "threaded", "false", "own thread"},
        {FLB_CONFIG_MAP_INT, "thread.ring_buffer.capacity", "1024", "slots of the ring"},
        {FLB_CONFIG_MAP_INT, "thread.ring_buffer.window", "5", "percent at which the ring is drained"},
    };
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        struct flb_config_map m = {
            .type = map[i].type,
            .name = (char *)map[i].name,
            .def_value = (char *)map[i].def,
            .desc = (char *)map[i].desc,
        };
        memcpy(input_global_properties + i * l->map_stride, &m, offsetof(struct flb_config_map, value));
    }
}

/* --- a binary without these symbols --- */

/* Stands in front of libc's for the plugin and everything else in the process,
 * so that chosen symbols are not found, as in a stripped or static Fluent Bit.
 * RTLD_NEXT from a library would search from here: nothing loaded uses it. */
void *dlsym(void *handle, const char *name) {
    static void *(*real)(void *, const char *);
    static const char *version[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17"};
    for (size_t i = 0; !real && i < sizeof version / sizeof *version; i++)
        real = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", version[i]);
    if (!real)
        abort();
    if (!opt.layout->waits && !strcmp(name, "flb_storage_chunk_count"))
        return real(RTLD_DEFAULT, "no such symbol");
    for (int i = 0; i < opt.hidden; i++) {
        size_t n = strlen(opt.hide[i]);
        bool prefix = n && opt.hide[i][n - 1] == '*';
        if (prefix ? !strncmp(name, opt.hide[i], n - 1) : !strcmp(name, opt.hide[i]))
            return real(RTLD_DEFAULT, "no such symbol"); /* NULL, and dlerror is set */
    }
    return real(handle, name);
}
