//go:build ignore

/* options.c - the command line. */
#include "options.h"
#include "say.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options opt = {
    .output = "stdout",
    .flush_ms = 1000,
    .tick_ms = 1000,
    .grace = 5,
    .routes = 1,
};

_Atomic long refuse_first, refuse_every, slow_bytes, full_first, filter_ms;

/* What each release has: see struct layout. */
static const struct layout layouts[] = {
    {"2.0", 0, 0, 32, 0, 96, 0, 0},
    {"2.1", 0, 0, 32, 0, 96, 0, 0},
    {"2.2", 1, 0, 32, 0, 96, 0, 0},
    {"4.1", 1, 1, 32, 0, 96, 1, 1},
    {"4.2.3", 1, 1, 40, 1, 96, 1, 1},
    {"5.1.1", 1, 1, 48, 1, 104, 1, 1},
};

static const char usage[] =
    "Usage: flbhost [options] PLUGIN.so [-i] [KEY=VALUE ...] [-i [KEY=VALUE ...]] ...\n"
    "\n"
    "A minimal Fluent Bit: loads a Go input plugin, runs it and prints its records.\n"
    "Every -i begins another [INPUT] section; the first may be left out.\n"
    "${NAME} in a value is replaced from the environment.\n"
    "\n"
    "  -o OUT            where records go [stdout]\n"
    "                      stdout, file:PATH   one JSON object per line\n"
    "                      count               one line per second with totals\n"
    "                      null                nowhere\n"
    "  -t TAG            tag of the records [NAME.N]\n"
    "  --duration D      stop after D: 500ms, 10s, 2m\n"
    "  --log-level L     off, error, warn, info, debug, trace [info]\n"
    "  -h, --help        this text; behind PLUGIN.so the plugin's options\n"
    "\n"
    "Pressure and faults:\n"
    "  --mem-buf-limit N pause an input when N bytes (K, M, G) wait for the output\n"
    "  --flush-ms N      records go to the output every N ms [1000]\n"
    "  --slow N          the output takes at most N bytes/s\n"
    "  --refuse N        the first N appends fail; every:N: every Nth does\n"
    "  --drop-every N    drop every Nth record on its way, like an input processor\n"
    "  --filter-ms N     filters take N ms for each append, which is counted before\n"
    "  --routes N        conditional routes: each append is counted N times\n"
    "  --full N          no chunk is to be had for N appends, nobody is told\n"
    "  --grace N         seconds to wait for a slow output at the end [5]\n"
    "  --tick-ms N       length of Fluent Bit's second, for tests [1000]\n"
    "\n"
    "Being another Fluent Bit:\n"
    "  --layout V        structs and faults of 2.0, 2.1, 2.2, 4.1, 4.2.3 or 5.1.1 [5.1.1]\n"
    "  --no-native       export nothing: the plugin has only its callbacks\n"
    "  --no-counter      export no cmt_* symbols\n"
    "  --hide SYMBOL     leave one symbol out (NAME* for several); repeatable\n"
    "  --no-thread       run instances on the main thread, as Threaded Off does\n"
    "  --daemon          fork after loading, as Daemon On does\n"
    "  --trace           say every callback on stderr, with its thread\n"
    "\n"
    "Commands on stdin, one per line, each answered on stderr by \"[host] ok COMMAND\"\n"
    "(the start by \"[host] ok ready\"); pause, resume, reload and wait when they are done:\n"
    "  pause [N], resume [N]   all instances, or number N\n"
    "  reload                  hot reload (also SIGHUP)\n"
    "  refuse N | every:N      as --refuse; 0 stops it\n"
    "  slow N                  as --slow; 0 for no limit\n"
    "  full N, filter-ms N     as --full, --filter-ms\n"
    "  wait N                  until N records have been written since the start\n"
    "  stats                   counters of the instances and the process, as JSON\n"
    "  metrics                 the instances' metrics, as Prometheus text\n"
    "  help                    the plugin's options\n"
    "  exit                    stop in order (also SIGTERM and SIGINT; twice: at once)\n"
    "  kill                    die at once, as by SIGKILL\n"
    "\n"
    "Exit status: 0 stopped in order, 1 the start was refused, 2 bad usage,\n"
    "3 the plugin broke Fluent Bit's binary interface.\n";

static void bad(const char *what, const char *value) {
    fprintf(stderr, "flbhost: %s: bad value '%s'%s%s; see flbhost -h\n", what, value, errno ? ": " : "",
            errno ? strerror(errno) : "");
    exit(2);
}

/* A number with an optional K, M or G; -1 if it is none. */
int64_t parse_size(const char *s) {
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    int shift = 0;
    if (end == s || n < 0 || errno)
        return -1;
    switch (toupper((unsigned char)*end)) {
    case 'K': shift = 10; end++; break;
    case 'M': shift = 20; end++; break;
    case 'G': shift = 30; end++; break;
    }
    if (shift && toupper((unsigned char)*end) == 'B')
        end++;
    return *end || n > INT64_MAX >> shift ? -1 : n << shift;
}

int parse_bool(const char *s) {
    if (!strcasecmp(s, "on") || !strcasecmp(s, "true") || !strcasecmp(s, "yes"))
        return 1;
    if (!strcasecmp(s, "off") || !strcasecmp(s, "false") || !strcasecmp(s, "no"))
        return 0;
    return -1;
}

static int64_t parse_duration(const char *s) {
    char *end;
    double n = strtod(s, &end);
    double unit = !strcmp(end, "ms") ? 1 : !*end || !strcmp(end, "s") ? 1000 : !strcmp(end, "m") ? 60000 : 0;
    return end == s || n < 0 || !unit ? -1 : (int64_t)(n * unit);
}

/* "N": the first N appends; "every:N": every Nth. -1 if it is neither. */
int parse_refuse(const char *s) {
    bool every = !strncmp(s, "every:", 6);
    int64_t n = parse_size(every ? s + 6 : s);
    if (n < 0)
        return -1;
    atomic_store(&refuse_every, every ? n : 0);
    atomic_store(&refuse_first, every ? 0 : n);
    return 0;
}

/* expand_env replaces ${NAME}; a new string, or NULL when nothing is left. */
char *expand_env(const char *s) {
    struct text t = {0};
    const char *end;
    while (s && *s) {
        if (s[0] == '$' && s[1] == '{' && (end = strchr(s, '}'))) {
            char *name = strndup(s + 2, end - s - 2);
            const char *v = getenv(name);
            if (v)
                text_add(&t, v, strlen(v));
            free(name);
            s = end + 1;
        } else {
            text_add(&t, s++, 1);
        }
    }
    return t.p;
}

const char *property_get(struct property *list, const char *key) {
    for (; list; list = list->next)
        if (!strcasecmp(list->key, key))
            return list->value;
    return NULL;
}

static void hide(const char *name) {
    if (opt.hidden == sizeof opt.hide / sizeof *opt.hide)
        bad("--hide", name);
    opt.hide[opt.hidden++] = name;
}

static struct section *section_new(void) {
    struct section **at = &opt.sections;
    while (*at)
        at = &(*at)->next;
    return *at = calloc(1, sizeof **at);
}

static void property_add(struct section *s, const char *key, size_t n, const char *value) {
    struct property **at = &s->props;
    while (*at)
        at = &(*at)->next;
    *at = calloc(1, sizeof **at);
    (*at)->key = strndup(key, n);
    (*at)->value = strdup(value);
}

static long number(const char *what, const char *s, long least) {
    int64_t n = parse_size(s);
    if (n < least || n > INT32_MAX)
        bad(what, s);
    return (long)n;
}

/* An option that takes a value. */
static void option(const char *o, const char *v) {
    if (!strcmp(o, "-o")) {
        opt.output = v;
    } else if (!strcmp(o, "-t")) {
        opt.tag = v;
    } else if (!strcmp(o, "--layout")) {
        opt.layout = NULL;
        for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
            if (!strcmp(layouts[i].name, v))
                opt.layout = &layouts[i];
        if (!opt.layout)
            bad(o, v);
    } else if (!strcmp(o, "--mem-buf-limit")) {
        if (parse_size(v) < 0)
            bad(o, v);
        property_add(opt.sections, "mem_buf_limit", 13, v);
    } else if (!strcmp(o, "--slow")) {
        atomic_store(&slow_bytes, number(o, v, 0));
    } else if (!strcmp(o, "--flush-ms")) {
        opt.flush_ms = (int)number(o, v, 1);
    } else if (!strcmp(o, "--tick-ms")) {
        opt.tick_ms = (int)number(o, v, 1);
    } else if (!strcmp(o, "--grace")) {
        opt.grace = (int)number(o, v, 0);
    } else if (!strcmp(o, "--filter-ms")) {
        atomic_store(&filter_ms, number(o, v, 0));
    } else if (!strcmp(o, "--full")) {
        atomic_store(&full_first, number(o, v, 0));
    } else if (!strcmp(o, "--routes")) {
        opt.routes = number(o, v, 1);
    } else if (!strcmp(o, "--drop-every")) {
        opt.drop_every = number(o, v, 1);
    } else if (!strcmp(o, "--refuse")) {
        if (parse_refuse(v))
            bad(o, v);
    } else if (!strcmp(o, "--hide")) {
        hide(v);
    } else if (!strcmp(o, "--log-level")) {
        if ((host_log_level = log_level_parse(v)) < 0)
            bad(o, v);
    } else if (!strcmp(o, "--duration")) {
        if ((opt.duration_ms = parse_duration(v)) < 0)
            bad(o, v);
    } else {
        fprintf(stderr, "flbhost: unknown option %s; see flbhost -h\n", o);
        exit(2);
    }
}

static bool option_flag(const char *o) {
    if (!strcmp(o, "--no-native")) {
        hide("flb_*");
        hide("cmt_*");
        hide("input_global_properties");
    } else if (!strcmp(o, "--no-counter")) {
        hide("cmt_*");
    } else if (!strcmp(o, "--no-thread")) {
        opt.no_thread = true;
    } else if (!strcmp(o, "--daemon")) {
        opt.daemon = true;
    } else if (!strcmp(o, "--trace")) {
        opt.trace = true;
    } else if (!strcmp(o, "-h") || !strcmp(o, "--help")) {
        opt.help = true;
    } else {
        return false;
    }
    return true;
}

/* options_parse fills opt; --mem-buf-limit goes to every section, as if written there. */
void options_parse(int argc, char **argv) {
    static struct section defaults;
    struct section *now = NULL;
    opt.layout = &layouts[sizeof layouts / sizeof *layouts - 1];
    opt.sections = &defaults;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *eq = strchr(a, '=');
        if (!strcmp(a, "-i")) {
            now = section_new();
        } else if (a[0] == '-') {
            if (option_flag(a))
                continue;
            if (i + 1 == argc) {
                fprintf(stderr, "flbhost: %s: unknown, or its value is missing; see flbhost -h\n", a);
                exit(2);
            }
            option(a, argv[++i]);
        } else if (!opt.plugin) {
            opt.plugin = realpath(a, NULL); /* dlopen does not look in the working directory */
            if (!opt.plugin)
                bad("PLUGIN.so", a);
        } else if (eq && eq != a) {
            if (!now)
                now = section_new();
            property_add(now, a, eq - a, eq + 1);
        } else {
            fprintf(stderr, "flbhost: '%s' is no KEY=VALUE; see flbhost -h\n", a);
            exit(2);
        }
    }
    if (!now)
        section_new();
    opt.sections = defaults.next;
    for (struct property *p = defaults.props; p; p = p->next)
        for (struct section *s = opt.sections; s; s = s->next)
            property_add(s, p->key, strlen(p->key), p->value);
    if (!opt.plugin) {
        fputs(usage, opt.help ? stdout : stderr);
        exit(opt.help ? 0 : 2);
    }
}
