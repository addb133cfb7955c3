/*
 * abi.h - the part of Fluent Bit's binary interface that a Go input sees.
 *
 * Written down from Fluent Bit's own headers, file names given at each struct,
 * and on purpose not shared with the plugin: two independent transcriptions
 * that disagree make a test fail, one shared mistake would not.
 */
#ifndef HOST_ABI_H
#define HOST_ABI_H

#include <stddef.h>
#include <stdint.h>

struct flb_input_instance;
struct flb_output_instance;
struct flb_custom_instance;
struct flb_config;
struct flb_config_map;

/* include/fluent-bit/flb_plugin_proxy.h */
#define FLB_PROXY_INPUT_PLUGIN 1
#define FLB_PROXY_GOLANG 11

/* include/fluent-bit/flb_plugin_proxy.h. How much of it exists depends on the
 * release: see struct layout. */
struct flb_plugin_proxy_def {
    int type;
    int proxy;
    int flags;
    char *name;
    char *description;
    int event_type;                    /* since 4.2.3 */
    struct flb_config_map *config_map; /* since 5.1.1 */
};

/* include/fluent-bit/flb_plugin_proxy.h, since 4.1.0 */
struct flb_plugin_input_proxy_context {
    int coll_fd;
    void *remote_context;
    void *proxy;
};

/* The same before 4.1.0. */
struct flb_plugin_input_proxy_context_2_0 {
    int coll_fd;
    void *proxy;
};

/* src/proxy/go/go.h */
struct flbgo_input_plugin {
    char *name;
    void *api;
    void *i_ins;
    void *context;
    int (*cb_init)(struct flbgo_input_plugin *);
    int (*cb_collect)(void **, size_t *);
    int (*cb_collect_ctx)(void *, void **, size_t *); /* since 4.1.0 */
    int (*cb_cleanup)(void *);
    int (*cb_cleanup_ctx)(void *, void *); /* since 4.1.0 */
    int (*cb_exit)(void);
};

/* include/fluent-bit/flb_api.h */
struct flb_api {
    const char *(*output_get_property)(const char *, struct flb_output_instance *);
    const char *(*input_get_property)(const char *, struct flb_input_instance *);
    void *(*output_get_cmt_instance)(struct flb_output_instance *);
    void *(*input_get_cmt_instance)(struct flb_input_instance *);
    void (*log_print)(int, const char *, int, const char *, ...);
    int (*input_log_check)(struct flb_input_instance *, int);
    int (*output_log_check)(struct flb_output_instance *, int);
    const char *(*custom_get_property)(const char *, struct flb_custom_instance *);
    int (*custom_log_check)(struct flb_custom_instance *, int);
};

/* lib/monkey/include/monkey/mk_core/mk_list.h */
struct mk_list {
    struct mk_list *prev;
    struct mk_list *next;
};

/* include/fluent-bit/flb_config_map.h */
enum {
    FLB_CONFIG_MAP_STR = 0,
    FLB_CONFIG_MAP_STR_PREFIX = 1,
    FLB_CONFIG_MAP_INT = 2,
    FLB_CONFIG_MAP_BOOL = 3,
    FLB_CONFIG_MAP_DOUBLE = 4,
    FLB_CONFIG_MAP_SIZE = 5,
    FLB_CONFIG_MAP_TIME = 6,
    FLB_CONFIG_MAP_DEPRECATED = 7,
    FLB_CONFIG_MAP_CLIST = 30,
    FLB_CONFIG_MAP_SLIST = 40,
    FLB_CONFIG_MAP_VARIANT = 50,
};
#define FLB_CONFIG_MAP_MULT 1

struct flb_config_map_val {
    union {
        int i_num;
        double d_num;
        size_t s_num;
        char *str;
        void *list;
    } val;
    char *raw; /* absent in older releases: entries of 96 bytes */
    struct mk_list *mult;
    struct mk_list head;
};

struct flb_config_map {
    int type;
    char *name;
    char *def_value;
    int flags;
    int set_property;
    uintptr_t offset;
    char *desc;
    struct flb_config_map_val value;
    struct mk_list head;
};

/* include/fluent-bit/flb_log.h */
enum {
    FLB_LOG_OFF,
    FLB_LOG_ERROR,
    FLB_LOG_WARN,
    FLB_LOG_INFO,
    FLB_LOG_DEBUG,
    FLB_LOG_TRACE,
    FLB_LOG_HELP,
};

_Static_assert(sizeof(struct flb_plugin_proxy_def) == 48, "flb_plugin_proxy_def");
_Static_assert(offsetof(struct flb_plugin_proxy_def, event_type) == 32, "event_type");
_Static_assert(offsetof(struct flb_plugin_proxy_def, config_map) == 40, "config_map");
_Static_assert(sizeof(struct flb_config_map) == 104, "flb_config_map");
_Static_assert(offsetof(struct flb_api, log_print) == 32, "flb_api");

/* struct layout is what one Fluent Bit release has of all this. */
struct layout {
    const char *name;
    int hooks;         /* calls PreRegister, PreRun, Pause, Resume, PreExit */
    int remote_context;/* context with remote_context, ...Ctx callbacks, ring window */
    size_t def_size;   /* bytes of flb_plugin_proxy_def */
    int def_zeroed;    /* calloc, else malloc: the plugin must set every field */
    size_t map_stride; /* bytes of one flb_config_map */
    int api_custom;    /* flb_api ends with the custom_* functions */
    int waits;         /* since 4.0.3: a stop waits for chunks, and a refused Init ends it */
};

#endif
