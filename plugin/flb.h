/*
 * Fluent Bit's side of the plugin: what we know of its ABI.
 *
 * Fluent Bit calls a Go input through symbols that it looks up in the .so; a
 * symbol that we do not export is skipped. The binary exports its own API in
 * turn, which we look up with dlsym, so that one .so serves every version.
 *
 *   version  has
 *   2.0      Go inputs: Register, Init, InputCallback, Exit; log_print and
 *            input_get_cmt_instance in flb_api; flb_input_log_append, and
 *            flb_input_log_append_records in each version that was looked at
 *   2.1.9    a paused input's ring is left alone (before, it is emptied into
 *            nothing)
 *   2.2      PreRegister and the hooks Pause and Resume (before, a pause is not
 *            announced): the oldest that is not refused
 *   4.0.3    flb_storage_chunk_count; a stop waits for chunks in memory, and
 *            ends when an Init fails
 *   4.1.0    FLBPluginInputCallbackCtx, thread.ring_buffer.* properties, its
 *            metrics; plugin->context gets its remote_context at another offset
 *   4.2.3    def->event_type; def is zeroed before Register
 *   5.1.1    def->config_map
 *
 * Not exported on purpose: PreRun and PreExit (nothing to do there) and the
 * ...Ctx variants, which would need a write to plugin->context, whose layout
 * differs by version.
 *
 * Threads: Init, Pause, Resume, InputCallback, Exit and the collector of an
 * instance all run on that instance's own thread, `flb-in-<name>`. The engine's,
 * `flb-pipeline`, drains the rings and runs the filters: what its counters mean
 * is in ack.go. Register and Unregister run on the main thread. A hot reload
 * registers anew before it exits the old instances and unregisters the old
 * plugin after that.
 */
#ifndef DOCKER_LOGS_FLB_H
#define DOCKER_LOGS_FLB_H

#include <stddef.h>
#include <stdint.h>

#define FLB_ERROR 0
#define FLB_OK    1

/* include/fluent-bit/flb_api.h; fields behind these are not used */
struct flb_api {
	const char *(*output_get_property)(const char *key, void *ins);
	const char *(*input_get_property)(const char *key, void *ins);
	void *(*output_get_cmt_instance)(void *ins);
	void *(*input_get_cmt_instance)(void *ins);
	void (*log_print)(int level, const char *file, int line, const char *fmt, ...);
	int (*input_log_check)(void *ins, int level);
};
_Static_assert(offsetof(struct flb_api, input_get_cmt_instance) == 24, "flb_api");
_Static_assert(offsetof(struct flb_api, log_print) == 32, "flb_api");
_Static_assert(offsetof(struct flb_api, input_log_check) == 40, "flb_api");

/*
 * src/proxy/go/go.h. One per registration, reused for each of its instances,
 * so it must not be kept after Init. Never written to.
 */
struct flbgo_input_plugin {
	char *name;
	struct flb_api *api;
	void *i_ins;
	void *context;
};
_Static_assert(offsetof(struct flbgo_input_plugin, i_ins) == 16, "flbgo_input_plugin");

/* include/fluent-bit/flb_config_map.h, the layout of 5.1 */
#define FLB_CONFIG_MAP_STR 0
struct flb_config_map {
	int type;
	char *name;
	char *def_value;
	int flags;
	int set_property;
	uintptr_t offset;
	char *desc;
	struct {
		union { double d_num; void *ptr; } val;
		char *raw;
		void *mult;
		void *head[2];
	} value;
	void *head[2];
};
_Static_assert(sizeof(struct flb_config_map) == 104, "flb_config_map");
_Static_assert(offsetof(struct flb_config_map, desc) == 40, "flb_config_map");

/* include/fluent-bit/flb_plugin_proxy.h; shorter before 5.1.1 */
struct flb_plugin_proxy_def {
	int type;
	int proxy;
	int flags;
	char *name;
	char *description;
	int event_type;                    /* since 4.2.3 */
	struct flb_config_map *config_map; /* since 5.1.1 */
};
_Static_assert(offsetof(struct flb_plugin_proxy_def, name) == 16, "flb_plugin_proxy_def");
_Static_assert(offsetof(struct flb_plugin_proxy_def, event_type) == 32, "flb_plugin_proxy_def");
_Static_assert(offsetof(struct flb_plugin_proxy_def, config_map) == 40, "flb_plugin_proxy_def");
_Static_assert(sizeof(struct flb_plugin_proxy_def) == 48, "flb_plugin_proxy_def");

/*
 * What Go calls. Hidden, or a function of the same name in the fluent-bit
 * binary would be called instead.
 */
#pragma GCC visibility push(hidden)

/*
 * Does an orderly stop wait for chunks in memory? Before 4.0.3 it waits for
 * tasks only, and what leaves the ring after the last flush makes none.
 */
int flb_stop_waits_for_chunks(void);

/* Can the counters of an instance be read? */
int flb_can_read_counters(void);

/* The instance's alias or name, NULL if it cannot be known. */
const char *flb_name(void *ins);

/* 1 if lines of this level (1 error .. 5 trace) are wanted; flb_log_line writes one. */
int flb_log_check(struct flb_api *api, void *ins, int level);
void flb_log_line(struct flb_api *api, int level, const char *line);

/*
 * Makes fd wake the instance's thread, which then calls goCollect. Returns the
 * collector's id, < 0 on failure. flb_unwatch must precede the close of fd:
 * Fluent Bit removes the event by its number later, on another thread.
 */
int flb_watch(void *ins, int fd);
void flb_unwatch(void *ins, int id);

/* Asks for a short ring that is drained at once. Before the first append. */
void flb_shorten_ring(void *ins, const char *capacity, const char *window);

/* Hands so many records over under a tag (NULL: the instance's own): 0, or -1 if the ring is full. */
int flb_append(void *ins, size_t records, const char *tag, size_t tag_len, const void *buf, size_t size);

/* The instance's counters in Prometheus' text format, NULL if unknown; release with flb_counters_free. */
char *flb_counters(struct flb_api *api, void *ins, size_t *len);
void flb_counters_free(char *text);

/*
 * Metrics of our own among the instance's, which Fluent Bit's endpoint shows.
 * flb_metric makes one, NULL if it cannot; it lives as long as the instance.
 * Its label `name` is the same in each flb_metric_set, now in nanoseconds.
 */
int flb_can_set_metrics(void);
void *flb_metric(struct flb_api *api, void *ins, int gauge, const char *name, const char *help);
void flb_metric_set(void *metric, int gauge, uint64_t now, double value, const char *name);

/*
 * Completes a registration with what the version at hand has room for; map may
 * be NULL. flb_takes_config_map says whether it would be used.
 */
int flb_takes_config_map(struct flb_plugin_proxy_def *def);
void flb_complete_def(struct flb_plugin_proxy_def *def, struct flb_config_map *map);

/*
 * Go turns a SIGSEGV in Go code into a panic that can be recovered from, as
 * long as its handlers are in place; Fluent Bit installs its own again on
 * every SIGHUP and SIGCONT. Those of Fluent Bit alone are replaced: another Go
 * plugin's pass on what is not theirs.
 */
void flb_save_signals(void);
void flb_restore_signals(void);

#pragma GCC visibility pop

#endif
