//go:build ignore

/*
 * proxy.c - the plugin's shared object: registration and callbacks, in the
 * order of src/flb_plugin_proxy.c and src/proxy/go/go.c, and its config_map.
 */
#define _GNU_SOURCE
#include "proxy.h"
#include "api.h"
#include "append.h"
#include "collector.h"
#include "options.h"
#include "say.h"
#include "text.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define GARBAGE 0xa5 /* what malloc may leave behind */

struct proxy {
    void *dso;
    struct flb_plugin_proxy_def *def; /* only layout->def_size bytes exist */
    struct flb_api *api;              /* likewise */
    struct flbgo_input_plugin data;
    struct flb_input_instance *instance; /* the last one initialised, as in Fluent Bit */
    int (*pre_run)(int);
    void (*pause)(void);
    void (*resume)(void);
    void (*pre_exit)(int);
    int (*unregister)(void *);
};

/* trace says which callback runs on which thread, with --trace. */
static void trace(const char *call, struct flb_input_instance *ins) {
    char thread[32] = "";
    if (!opt.trace)
        return;
    prctl(PR_GET_NAME, thread);
    host_answer("call %s %s thread=%s", call, ins ? ins->name : "-", thread);
}

/* A callback by its name; NULL if the plugin or the layout has none such. */
static void *symbol(struct proxy *p, const char *name, bool known) {
    return known ? dlsym(p->dso, name) : NULL;
}

const char *proxy_name(struct proxy *p) {
    return p->def->name;
}

static struct flb_config_map *config_map(struct proxy *p) {
    return opt.layout->def_size >= sizeof *p->def ? p->def->config_map : NULL;
}

static void *defs[2]; /* of this load and, during a reload, the one before */

static size_t usable_size(void *p) {
    static size_t (*real)(void *);
    if (!real)
        real = (size_t (*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
    return real(p);
}

/* Exported in front of libc's. Fluent Bit's allocator is jemalloc, built with
 * --with-lg-quantum=3: a definition has exactly its size. */
size_t malloc_usable_size(void *p) {
    return p && (p == defs[0] || p == defs[1]) ? opt.layout->def_size : usable_size(p);
}

/* The bytes malloc gives beyond the struct: whoever writes there took it for larger. */
static void check_slack(struct proxy *p) {
    const uint8_t *b = (const uint8_t *)p->def;
    for (size_t i = opt.layout->def_size; i < usable_size(p->def); i++)
        if (b[i] != GARBAGE)
            violation("FLBPluginRegister wrote at offset %zu of flb_plugin_proxy_def, which has %zu bytes in %s",
                      i, opt.layout->def_size, opt.layout->name);
}

static int do_register(struct proxy *p, bool hot_reloading) {
    int (*pre)(int) = symbol(p, "FLBPluginPreRegister", opt.layout->hooks);
    int (*reg)(void *) = symbol(p, "FLBPluginRegister", true);
    if (pre) {
        trace("FLBPluginPreRegister", NULL);
        if (pre(hot_reloading) == -1)
            return -1;
    }
    if (!reg) {
        log_error("[proxy] %s has no FLBPluginRegister", opt.plugin);
        return -1;
    }
    trace("FLBPluginRegister", NULL);
    if (reg(p->def) == -1)
        return -1;
    check_slack(p);
    if (p->def->type != FLB_PROXY_INPUT_PLUGIN || p->def->proxy != FLB_PROXY_GOLANG) {
        log_error("[proxy] %s registered type %d, proxy %d: no Go input", opt.plugin, p->def->type, p->def->proxy);
        return -1;
    }
    if (p->def->flags)
        violation("FLBPluginRegister left flags = 0x%x", p->def->flags);
    return 0;
}

/* proxy_load opens and registers the plugin, NULL when it does not want to. */
struct proxy *proxy_load(bool hot_reloading) {
    const struct layout *l = opt.layout;
    struct proxy *p = calloc(1, sizeof *p);
    p->dso = dlopen(opt.plugin, RTLD_LAZY);
    if (!p->dso) {
        log_error("[proxy] error opening plugin %s: '%s'", opt.plugin, dlerror());
        free(p);
        return NULL;
    }
    size_t api_size = l->api_custom ? sizeof *p->api : offsetof(struct flb_api, custom_get_property);
    p->api = calloc(1, api_size);
    api_fill(p->api);
    p->def = malloc(l->def_size);
    defs[0] = defs[1];
    defs[1] = p->def;
    memset(p->def, GARBAGE, usable_size(p->def));
    if (l->def_zeroed)
        memset(p->def, 0, l->def_size);
    p->def->type = FLB_PROXY_INPUT_PLUGIN;

    struct flbgo_input_plugin *d = &p->data;
    if (do_register(p, hot_reloading)) {
        log_error("[proxy] %s could not be registered", opt.plugin);
        goto refused;
    }
    if (!(d->cb_init = symbol(p, "FLBPluginInit", true))) {
        log_error("[go proxy]: could not load FLBPluginInit symbol");
        goto refused;
    }
    d->name = strdup(p->def->name);
    d->cb_collect = symbol(p, "FLBPluginInputCallback", true);
    d->cb_collect_ctx = symbol(p, "FLBPluginInputCallbackCtx", l->remote_context);
    d->cb_cleanup = symbol(p, "FLBPluginInputCleanupCallback", true);
    d->cb_cleanup_ctx = symbol(p, "FLBPluginInputCleanupCallbackCtx", l->remote_context);
    d->cb_exit = symbol(p, "FLBPluginExit", true);
    p->pre_run = symbol(p, "FLBPluginInputPreRun", l->hooks);
    p->pause = symbol(p, "FLBPluginInputPause", l->hooks);
    p->resume = symbol(p, "FLBPluginInputResume", l->hooks);
    p->pre_exit = symbol(p, "FLBPluginInputPreExit", l->hooks);
    p->unregister = symbol(p, "FLBPluginUnregister", true);
    return p;

refused:
    dlclose(p->dso);
    free(p->def);
    free(p->api);
    free(p);
    return NULL;
}

void proxy_unload(struct proxy *p) {
    if (p->unregister) {
        trace("FLBPluginUnregister", NULL);
        p->unregister(p->def);
    }
    free(p->data.name);
    free(p->def);
    free(p->api);
    dlclose(p->dso);
    free(p);
}

/* --- an instance's context and callbacks --- */

void *proxy_context(struct proxy *p) {
    if (!opt.layout->remote_context) {
        struct flb_plugin_input_proxy_context_2_0 *old = calloc(1, sizeof *old);
        old->proxy = p;
        return old;
    }
    struct flb_plugin_input_proxy_context *c = calloc(1, sizeof *c);
    c->proxy = p;
    return c;
}

static void *remote_context(struct flb_input_instance *ins) {
    return opt.layout->remote_context ? ((struct flb_plugin_input_proxy_context *)ins->context)->remote_context : NULL;
}

/* The stock path: once a second, one buffer. What the append says is lost. */
static int collect_stock(struct flb_input_instance *ins, struct flb_config *config, void *context) {
    struct flbgo_input_plugin *d = &ins->engine->proxy->data;
    void *buf = NULL, *remote = remote_context(ins);
    size_t size = 0;
    int ret;
    (void)config;
    (void)context;
    if (!d->cb_collect_ctx && !d->cb_collect)
        violation("no FLBPluginInputCallback: Fluent Bit calls NULL every second");
    ret = d->cb_collect_ctx ? d->cb_collect_ctx(remote, &buf, &size) : d->cb_collect(&buf, &size);
    if (!size || ret == -1)
        return -1;
    flb_input_log_append(ins, NULL, 0, buf, size);
    if (d->cb_cleanup_ctx)
        d->cb_cleanup_ctx(remote, buf);
    else if (d->cb_cleanup)
        d->cb_cleanup(buf);
    else
        free(buf);
    return 0;
}

int proxy_init(struct proxy *p, struct flb_input_instance *ins) {
    struct flbgo_input_plugin *d = &p->data;
    p->instance = ins;
    d->api = p->api;
    d->i_ins = ins;
    d->context = ins->context;
    trace("FLBPluginInit", ins);
    if (d->cb_init(d) <= 0) {
        log_error("[go proxy]: plugin '%s' failed to initialize", d->name);
        log_error("Could not initialize proxy for threaded input plugin");
        return -1;
    }
    struct flb_plugin_input_proxy_context *c = ins->context;
    void *owner = opt.layout->remote_context ? c->proxy
                                             : ((struct flb_plugin_input_proxy_context_2_0 *)c)->proxy;
    if (*(uint64_t *)c || owner != p)
        violation("FLBPluginInit overwrote Fluent Bit's part of the input context (layout %s)", opt.layout->name);
    c->coll_fd = collector_timer(ins, collect_stock);
    return 0;
}

static int coll_fd(struct flb_input_instance *ins) {
    return *(int *)ins->context; /* the first member in every layout */
}

void proxy_pre_run(struct flb_input_instance *ins) {
    struct proxy *p = ins->engine->proxy;
    if (!p->pre_run)
        return;
    trace("FLBPluginInputPreRun", ins);
    p->pre_run(1);
}

/* The timer that stops is the last initialised instance's: a bug of Fluent
 * Bit's (ctx->proxy->instance) which plugins have to live with. */
void proxy_pause(struct flb_input_instance *ins) {
    struct proxy *p = ins->engine->proxy;
    if (p->pause) {
        trace("FLBPluginInputPause", ins);
        p->pause();
    }
    collector_stop(p->instance, coll_fd(ins));
}

void proxy_resume(struct flb_input_instance *ins) {
    struct proxy *p = ins->engine->proxy;
    if (p->resume) {
        trace("FLBPluginInputResume", ins);
        p->resume();
    }
    collector_resume(p->instance, coll_fd(ins));
}

void proxy_exit(struct flb_input_instance *ins) {
    struct proxy *p = ins->engine->proxy;
    if (p->pre_exit) {
        trace("FLBPluginInputPreExit", ins);
        p->pre_exit(ins->engine->reloading);
    }
    if (p->data.cb_exit) {
        trace("FLBPluginExit", ins);
        p->data.cb_exit();
    }
}

/* --- config_map, src/flb_config_map.c --- */

static struct flb_config_map *map_find(struct flb_config_map *m, const char *key) {
    for (; m->name; m++) {
        size_t n = strlen(m->name);
        bool prefix = m->type == FLB_CONFIG_MAP_STR_PREFIX;
        if (!strncasecmp(m->name, key, n) && (prefix ? strlen(key) > n : strlen(key) == n))
            return m;
    }
    return NULL;
}

/* proxy_check refuses unknown and doubled keys, if the plugin has a config_map. */
int proxy_check(struct proxy *p, struct property *props) {
    struct flb_config_map *map = config_map(p), *m;
    for (struct property *a = map ? props : NULL; a; a = a->next) {
        if (!strcasecmp(a->key, "active") || !strcasecmp(a->key, "condition"))
            continue;
        if (!(m = map_find(map, a->key))) {
            struct text all = {0};
            for (m = map; m->name; m++)
                text_printf(&all, "%s%s", m == map ? "" : m[1].name ? ", " : ", and ", m->name);
            log_error("[config] %s: unknown configuration property '%s'. The following properties are allowed: %s.",
                      proxy_name(p), a->key, all.p);
            free(all.p);
            return -1;
        }
        int count = 0;
        for (struct property *b = props; b; b = b->next)
            count += !strcmp(a->key, b->key);
        if (count > 1 && !(m->flags & FLB_CONFIG_MAP_MULT)) {
            log_error("[config] %s: configuration property '%s' is set %i times", proxy_name(p), a->key, count);
            return -1;
        }
    }
    return 0;
}

static const char *type_name(int type) {
    static const char *names[] = {"string", "prefixed string", "integer", "boolean",
                                  "double", "size", "time", "deprecated"};
    if (type >= 0 && type <= FLB_CONFIG_MAP_DEPRECATED)
        return names[type];
    return type == FLB_CONFIG_MAP_VARIANT ? "variant" : "list of values";
}

void proxy_help(struct proxy *p) {
    fprintf(stderr, "%s input plugin\n%s\n\n", p->def->name, p->def->description);
    if (!config_map(p))
        fprintf(stderr, "no options are known: the plugin sets no config_map\n");
    for (struct flb_config_map *m = config_map(p); m && m->name; m++)
        fprintf(stderr, "%-20s %s\n%-20s > default: %s, type: %s\n\n", m->name, m->desc ? m->desc : "", "",
                m->def_value ? m->def_value : "(none)", type_name(m->type));
}
