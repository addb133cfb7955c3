/*
 * probe.c - a Go input as Fluent Bit sees it, written in C: says every callback
 * on stderr and appends what its options tell it to. It runs in the host and in
 * a real Fluent Bit (-e probe.so -i probe).
 *
 *   records=N    append N records {"n":i}, i from 0
 *   batch=N      so many per append [1]
 *   hex=BYTES    append these bytes once instead
 *   mode=proxy   by FLBPluginInputCallback instead of flb_input_log_append
 *   tagged=TAG   append under this tag
 *   capacity=N   slots of the ring
 *   deaf=1       go on while paused
 *
 * PROBE_BREAK in the environment makes it misbehave: init, context, def, flags;
 * map gives it a config_map.
 */
#define _GNU_SOURCE
#include "../abi.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct probe {
    void *ins;
    struct flb_api *api;
    char name[64];
    long records, next, batch;
    uint8_t *hex;
    size_t hex_size;
    int fd;
    int paused, deaf;
    char *tag;
};

static struct probe *all[16];
static __thread struct probe *self; /* all callbacks of an instance run on one thread */
static const char *broken;          /* PROBE_BREAK */

static int (*append)(void *, const char *, size_t, const void *, size_t);

static void say(const char *call, const char *more) {
    char thread[32] = "", line[256];
    prctl(PR_GET_NAME, thread);
    int n = snprintf(line, sizeof line, "[probe] %s %s thread=%s %s\n", call, self ? self->name : "-", thread, more);
    if (write(2, line, n) < 0)
        abort();
}

int FLBPluginPreRegister(int hot_reloading) {
    say("PreRegister", hot_reloading ? "reload" : "");
    return 0;
}

int FLBPluginRegister(struct flb_plugin_proxy_def *def) {
    static struct flb_config_map map[3];
    broken = getenv("PROBE_BREAK") ? getenv("PROBE_BREAK") : "";
    say("Register", "");
    def->type = FLB_PROXY_INPUT_PLUGIN;
    def->proxy = FLB_PROXY_GOLANG;
    def->name = strdup("probe");
    def->description = strdup("a probe");
    if (strcmp(broken, "flags"))
        def->flags = 0;
    if (!strcmp(broken, "def"))
        def->event_type = 0;
    if (!strcmp(broken, "map") && malloc_usable_size(def) >= 48) {
        map[0] = (struct flb_config_map){.name = "records", .def_value = "0", .desc = "how many"};
        map[1] = (struct flb_config_map){.name = "batch", .def_value = "1", .desc = "how many at once"};
        def->config_map = map;
    }
    return 0;
}

int FLBPluginUnregister(struct flb_plugin_proxy_def *def) {
    say("Unregister", "");
    free(def->name);
    free(def->description);
    return 0;
}

/* n records [[EventTime, {}], {"n": i}] from p->next on */
static size_t fill(struct probe *p, uint8_t *buf) {
    size_t at = 0;
    for (long i = 0; i < p->batch && p->next + i < p->records; i++) {
        uint32_t v = p->next + i;
        const uint8_t r[] = {0x92, 0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x81, 0xa1, 'n', 0xce,
                             v >> 24, v >> 16, v >> 8, v};
        memcpy(buf + at, r, sizeof r);
        at += sizeof r;
    }
    return at;
}

static int on_event(void *ins, void *config, void *context) {
    struct probe *p = self;
    uint64_t n;
    (void)config, (void)context;
    if (read(p->fd, &n, sizeof n) < 0 || p->ins != ins)
        return -1;
    size_t tag_len = p->tag ? strlen(p->tag) : 0;
    if (p->hex_size) {
        append(ins, p->tag, tag_len, p->hex, p->hex_size);
        p->hex_size = 0;
        return 0;
    }
    uint8_t *buf = malloc(p->batch * 21 + 1);
    size_t size;
    n = 1;
    while (!p->paused && (size = fill(p, buf))) {
        if (append(ins, p->tag, tag_len, buf, size)) {
            say("refused", "");
            break;
        }
        p->next += size / 21;
        if (p->next % (p->batch * 16) == 0) /* let messages in */
            break;
    }
    free(buf);
    if (p->next < p->records && !p->paused && write(p->fd, &n, sizeof n) < 0)
        return -1;
    return 0;
}

static long number(struct flbgo_input_plugin *f, const char *key, long otherwise) {
    const char *s = ((struct flb_api *)f->api)->input_get_property(key, f->i_ins);
    return s ? atol(s) : otherwise;
}

/* Whether the global config_map has the stride of 5.1.1. */
static const char *map_kind(void) {
    struct flb_config_map *m = dlsym(RTLD_DEFAULT, "input_global_properties");
    if (!m)
        return "none";
    return !strcmp(m[0].name, "tag") && !strcmp(m[1].name, "log_level") ? "new" : "old";
}

int FLBPluginInit(struct flbgo_input_plugin *f) {
    struct flb_api *api = f->api;
    struct probe *p = calloc(1, sizeof *p);
    uint64_t one = 1;
    char more[64];
    const char *(*name)(void *) = dlsym(RTLD_DEFAULT, "flb_input_name");
    int (*set_property)(void *, const char *, const char *) = dlsym(RTLD_DEFAULT, "flb_input_set_property");
    int (*on)(void *, int (*)(void *, void *, void *), int, void *) = dlsym(RTLD_DEFAULT, "flb_input_set_collector_event");
    append = dlsym(RTLD_DEFAULT, "flb_input_log_append");
    self = p;
    for (int i = 0; i < 16; i++)
        if (!all[i]) {
            all[i] = p;
            break;
        }
    p->ins = f->i_ins;
    p->api = api;
    snprintf(p->name, sizeof p->name, "%s", name ? name(f->i_ins) : "?");
    p->records = number(f, "records", 0);
    p->batch = number(f, "batch", 1);
    p->deaf = number(f, "deaf", 0);
    p->fd = -1;
    const char *tag = api->input_get_property("tagged", f->i_ins);
    p->tag = tag ? strdup(tag) : NULL;
    const char *hex = api->input_get_property("hex", f->i_ins);
    p->hex = calloc(1, hex ? strlen(hex) : 1);
    for (; hex && hex[0] && hex[1]; hex += 2)
        sscanf(hex, "%2hhx", &p->hex[p->hex_size++]);
    const char *mode = api->input_get_property("mode", f->i_ins);
    int native = append && on && !(mode && !strcmp(mode, "proxy"));
    snprintf(more, sizeof more, "%s map=%s", native ? "native" : "proxy", map_kind());
    say("Init", more);
    api->log_print(FLB_LOG_INFO, NULL, 0, "[probe] %s level debug=%d", p->name,
                   api->input_log_check(f->i_ins, FLB_LOG_DEBUG));
    if (!strcmp(broken, "init"))
        return 0;
    if (!strcmp(broken, "context"))
        *(void **)f->context = p;
    const char *capacity = api->input_get_property("capacity", f->i_ins);
    if (capacity && set_property)
        set_property(f->i_ins, "thread.ring_buffer.capacity", capacity);
    if (native) {
        p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        on(f->i_ins, on_event, p->fd, NULL);
        if (write(p->fd, &one, sizeof one) < 0)
            return 0;
    }
    return 1;
}

int FLBPluginInputPreRun(int hot_reload) {
    say("PreRun", hot_reload ? "hot" : "");
    return 0;
}

int FLBPluginInputCallback(void **data, size_t *size) {
    struct probe *p = self;
    *size = 0;
    if (p->fd >= 0 || p->next >= p->records)
        return 0;
    *data = malloc(p->batch * 21);
    *size = fill(p, *data);
    p->next += *size / 21;
    return 0;
}

int FLBPluginInputCleanupCallback(void *data) {
    free(data);
    return 0;
}

void FLBPluginInputPause(void) {
    self->paused = !self->deaf;
    say("Pause", "");
}

void FLBPluginInputResume(void) {
    uint64_t one = 1;
    self->paused = 0;
    say("Resume", "");
    if (self->fd >= 0 && write(self->fd, &one, sizeof one) < 0)
        abort();
}

void FLBPluginInputPreExit(int reload) {
    say("PreExit", reload ? "reload" : "");
}

/* The instance's own counter, read as a plugin would. */
static double acked(struct probe *p) {
    char *(*encode)(void *, int) = dlsym(RTLD_DEFAULT, "cmt_encode_prometheus_create");
    void (*destroy)(char *) = dlsym(RTLD_DEFAULT, "cmt_encode_prometheus_destroy");
    char key[128];
    double v = -1;
    if (!encode || !destroy)
        return v;
    char *text = encode(p->api->input_get_cmt_instance(p->ins), 0);
    snprintf(key, sizeof key, "\nfluentbit_input_records_total{name=\"%s\"} ", p->name);
    char *at = strstr(text, key);
    if (at)
        v = atof(at + strlen(key));
    destroy(text);
    return v;
}

int FLBPluginExit(void) {
    struct probe *p = self;
    char more[64];
    snprintf(more, sizeof more, "appended=%ld acked=%.0f", p->next, acked(p));
    say("Exit", more);
    if (p->fd >= 0)
        close(p->fd);
    for (int i = 0; i < 16; i++)
        if (all[i] == p)
            all[i] = NULL;
    free(p->hex);
    free(p->tag);
    free(p);
    self = NULL;
    return 1;
}
