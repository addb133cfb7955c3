/* options.h - the command line: set by it, then read only. */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include "abi.h"

#include <stdatomic.h>
#include <stdbool.h>

struct property {
    struct property *next;
    char *key;
    char *value; /* NULL: given, but empty after ${VAR} was expanded */
};

struct section { /* one [INPUT] */
    struct section *next;
    struct property *props;
};

struct options {
    const char *plugin;
    const struct layout *layout;
    const char *output;
    const char *tag;
    const char *hide[32];
    int hidden;
    int flush_ms;
    int tick_ms;  /* the length of Fluent Bit's second */
    int grace;    /* ticks to wait for unflushed records at the end */
    int64_t duration_ms;
    long drop_every;
    long routes;
    bool no_thread;
    bool daemon;
    bool trace;
    bool help;
    struct section *sections;
};
extern struct options opt;

/* Set by flag and by command, read by any thread. */
extern _Atomic long refuse_first; /* appends still to refuse */
extern _Atomic long refuse_every; /* refuse every Nth append, 0 = none */
extern _Atomic long slow_bytes;   /* output bytes/s, 0 = unlimited */
extern _Atomic long full_first;   /* appends for which there is no chunk */
extern _Atomic long filter_ms;    /* for each append */

void options_parse(int argc, char **argv);
int parse_refuse(const char *s);
int64_t parse_size(const char *s);
/* 1 for on, true and yes, 0 for off, false and no, else -1. */
int parse_bool(const char *s);
char *expand_env(const char *s);
/* The value of a key in any case; NULL if it is not there. */
const char *property_get(struct property *list, const char *key);

#endif
