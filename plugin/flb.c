#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "flb.h"
#include "_cgo_export.h"

/* Fluent Bit's API, as far as this binary has it. Written at load only. */
static struct {
	int (*set_collector_event)(void *, int (*)(void *, void *, void *), int, void *);
	int (*collector_pause)(int, void *);
	int (*log_append)(void *, const char *, size_t, const void *, size_t);
	int (*log_append_records)(void *, size_t, const char *, size_t, const void *, size_t);
	int (*set_property)(void *, const char *, const char *);
	const char *(*name)(void *);
	char *(*encode)(void *, int);
	void (*encode_destroy)(char *);
	void *(*counter_create)(void *, char *, char *, char *, char *, int, char **);
	int (*counter_set)(void *, uint64_t, double, int, char **);
	void *(*gauge_create)(void *, char *, char *, char *, char *, int, char **);
	int (*gauge_set)(void *, uint64_t, double, int, char **);
	void *chunk_count; /* came with the stop that waits for chunks, in 4.0.3 */
	struct flb_config_map *global_properties;
} sym;

static pid_t loaded_by;
static int announces_pauses; /* Fluent Bit 2.2 or later: it called PreRegister */

__attribute__((constructor)) static void on_load(void)
{
	loaded_by = getpid();
	*(void **)&sym.set_collector_event = dlsym(RTLD_DEFAULT, "flb_input_set_collector_event");
	*(void **)&sym.collector_pause = dlsym(RTLD_DEFAULT, "flb_input_collector_pause");
	*(void **)&sym.log_append = dlsym(RTLD_DEFAULT, "flb_input_log_append");
	*(void **)&sym.log_append_records = dlsym(RTLD_DEFAULT, "flb_input_log_append_records");
	*(void **)&sym.set_property = dlsym(RTLD_DEFAULT, "flb_input_set_property");
	*(void **)&sym.name = dlsym(RTLD_DEFAULT, "flb_input_name");
	*(void **)&sym.encode = dlsym(RTLD_DEFAULT, "cmt_encode_prometheus_create");
	*(void **)&sym.encode_destroy = dlsym(RTLD_DEFAULT, "cmt_encode_prometheus_destroy");
	*(void **)&sym.counter_create = dlsym(RTLD_DEFAULT, "cmt_counter_create");
	*(void **)&sym.counter_set = dlsym(RTLD_DEFAULT, "cmt_counter_set");
	*(void **)&sym.gauge_create = dlsym(RTLD_DEFAULT, "cmt_gauge_create");
	*(void **)&sym.gauge_set = dlsym(RTLD_DEFAULT, "cmt_gauge_set");
	sym.chunk_count = dlsym(RTLD_DEFAULT, "flb_storage_chunk_count");
	sym.global_properties = dlsym(RTLD_DEFAULT, "input_global_properties");
}

/*
 * The entry points that can be reached in a process where Go is dead, or on a
 * thread where it must not run. They start in C: a call into the Go runtime of
 * a forked child never returns.
 */

static int forked(void)
{
	return getpid() != loaded_by;
}

/* A call that there is no way around, NULL if all are there. */
static const char *missing_symbol(void)
{
	if (sym.set_collector_event == NULL) {
		return "flb_input_set_collector_event";
	}
	if (sym.log_append == NULL) {
		return "flb_input_log_append";
	}
	if (sym.set_property == NULL) {
		return "flb_input_set_property";
	}
	if (sym.name == NULL) {
		return "flb_input_name";
	}
	return NULL;
}

/* Why Init cannot go on, NULL if it can. */
static const char *refusal(void)
{
	static char missing[128];
	char thread[16] = "";
	const char *symbol;

	if (forked()) {
		return "cannot run in a daemon: Fluent Bit forks after loading Go plugins. "
		       "Set 'daemon off' (no -d) and let the service manager put it in the background";
	}
	prctl(PR_GET_NAME, thread);
	if (strncmp(thread, "flb-in-", 7) != 0) {
		return "needs a thread of its own. Remove 'threaded off' from this input";
	}
	if (!announces_pauses) {
		return "needs Fluent Bit 2.2 or later: this one drops what it is given while an input is paused, and tells nobody";
	}
	symbol = missing_symbol();
	if (symbol != NULL) {
		snprintf(missing, sizeof(missing), "needs %s, which this Fluent Bit does not export. "
		         "Use an official build of Fluent Bit 2.2 or later", symbol);
		return missing;
	}
	return NULL;
}

int FLBPluginPreRegister(int hot_reloading)
{
	(void)hot_reloading;
	announces_pauses = 1;
	return 0;
}

int FLBPluginRegister(struct flb_plugin_proxy_def *def)
{
	if (forked()) {
		fprintf(stderr, "[input:docker_logs] cannot be registered in a forked process\n");
		return -1;
	}
	return goRegister(def);
}

/*
 * Before 4.0.3 Fluent Bit would run on without an input whose Init failed, and
 * nobody who asks whether it runs would learn of it.
 */
static int refused(struct flbgo_input_plugin *plugin)
{
	if (!flb_stop_waits_for_chunks()) {
		plugin->api->log_print(1, NULL, 0, "[input:docker_logs] the start was refused: Fluent Bit is told to stop");
		kill(getpid(), SIGTERM);
	}
	return FLB_ERROR;
}

int FLBPluginInit(struct flbgo_input_plugin *plugin)
{
	const char *why = refusal();

	if (why != NULL) {
		const char *name = flb_name(plugin->i_ins);

		plugin->api->log_print(1, NULL, 0, "[input:docker_logs:%s] %s",
		                       name != NULL ? name : "docker_logs", why);
		return refused(plugin);
	}
	return goInit(plugin) == FLB_OK ? FLB_OK : refused(plugin);
}

void FLBPluginUnregister(struct flb_plugin_proxy_def *def)
{
	if (!forked()) {
		goUnregister(def);
	}
}

/* The way of records. */

static int on_event(void *ins, void *config, void *context)
{
	(void)ins;
	(void)config;
	(void)context;
	goCollect();
	return 0;
}

int flb_watch(void *ins, int fd)
{
	/* NULL config: only read when the instance has no thread of its own */
	return sym.set_collector_event(ins, on_event, fd, NULL);
}

void flb_unwatch(void *ins, int id)
{
	if (sym.collector_pause != NULL) {
		sym.collector_pause(id, ins);
	}
}

void flb_shorten_ring(void *ins, const char *capacity, const char *window)
{
	sym.set_property(ins, "thread.ring_buffer.capacity", capacity);
	sym.set_property(ins, "thread.ring_buffer.window", window);
}

int flb_append(void *ins, size_t records, const char *tag, size_t tag_len, const void *buf, size_t size)
{
	/* Told how many there are, Fluent Bit need not decode them once more: a quarter of its work. */
	if (sym.log_append_records != NULL) {
		return sym.log_append_records(ins, records, tag, tag_len, buf, size);
	}
	return sym.log_append(ins, tag, tag_len, buf, size);
}

/* Names, log, counters. */

const char *flb_name(void *ins)
{
	return sym.name != NULL ? sym.name(ins) : NULL;
}

int flb_log_check(struct flb_api *api, void *ins, int level)
{
	return api->input_log_check(ins, level);
}

void flb_log_line(struct flb_api *api, int level, const char *line)
{
	api->log_print(level, NULL, 0, "%s", line);
}

int flb_stop_waits_for_chunks(void)
{
	return sym.chunk_count != NULL;
}

int flb_can_read_counters(void)
{
	return sym.encode != NULL && sym.encode_destroy != NULL;
}

char *flb_counters(struct flb_api *api, void *ins, size_t *len)
{
	void *cmt = api->input_get_cmt_instance(ins);
	char *text = cmt != NULL ? sym.encode(cmt, 0) : NULL;

	*len = text != NULL ? strlen(text) : 0;
	return text;
}

void flb_counters_free(char *text)
{
	sym.encode_destroy(text);
}

int flb_can_set_metrics(void)
{
	return sym.counter_create != NULL && sym.counter_set != NULL && sym.gauge_create != NULL && sym.gauge_set != NULL;
}

void *flb_metric(struct flb_api *api, void *ins, int gauge, const char *name, const char *help)
{
	char *label[] = { "name" };
	void *cmt = api->input_get_cmt_instance(ins);

	if (cmt == NULL) {
		return NULL;
	}
	/* they copy what they are given, however they declare it */
	return (gauge ? sym.gauge_create : sym.counter_create)(cmt, "log_capturer", "", (char *)name, (char *)help, 1, label);
}

void flb_metric_set(void *metric, int gauge, uint64_t now, double value, const char *name)
{
	char *label[] = { (char *)name };

	(gauge ? sym.gauge_set : sym.counter_set)(metric, now, value, 1, label);
}

/* Registration. */

int flb_takes_config_map(struct flb_plugin_proxy_def *def)
{
	static const char *const first[] = { "tag", "log_level", "log_suppress_interval" };

	if (sym.global_properties == NULL || malloc_usable_size(def) < sizeof(*def)) {
		return 0;
	}
	/* In another layout the second name is already something else. */
	for (int i = 0; i < 3; i++) {
		const char *name = sym.global_properties[i].name;

		if (name == NULL || strcmp(name, first[i]) != 0) {
			return 0;
		}
	}
	return 1;
}

void flb_complete_def(struct flb_plugin_proxy_def *def, struct flb_config_map *map)
{
	def->flags = 0; /* not zeroed by versions before 4.2.3 */
	if (malloc_usable_size(def) >= offsetof(struct flb_plugin_proxy_def, config_map)) {
		def->event_type = 0; /* logs */
	}
	if (map != NULL) {
		def->config_map = map;
	}
}

/* Signals. */

static const int go_signals[] = { SIGSEGV, SIGBUS, SIGFPE };
static struct sigaction go_actions[3];

void flb_save_signals(void)
{
	for (int i = 0; i < 3; i++) {
		sigaction(go_signals[i], NULL, &go_actions[i]);
	}
}

/* Does code lie in the program itself, and in no library? */
static int in_program(void *code)
{
	Dl_info program, here;

	return dladdr((void *)getauxval(AT_PHDR), &program) != 0 && dladdr(code, &here) != 0 &&
	       here.dli_fbase == program.dli_fbase;
}

void flb_restore_signals(void)
{
	/* Found to be of a library: asking whose a handler is costs more than the rest of an event. */
	static void *foreign[3];
	struct sigaction now;

	for (int i = 0; i < 3; i++) {
		if (sigaction(go_signals[i], NULL, &now) != 0) {
			continue;
		}
		void *code = (void *)now.sa_sigaction;

		if (code == (void *)go_actions[i].sa_sigaction || code == foreign[i]) {
			continue;
		}
		if (in_program(code)) {
			sigaction(go_signals[i], &go_actions[i], NULL);
		} else {
			foreign[i] = code;
		}
	}
}
