/* cmt.h - an instance's metrics. */
#ifndef HOST_CMT_H
#define HOST_CMT_H

#include <stdint.h>

struct cmt;
struct metric;

/* The metrics of one instance; cmt_destroy frees them. */
struct cmt *cmt_create(void);
void cmt_destroy(struct cmt *c);
/* Exported, as all below but cmt_now: metrics of one label, which copy what they are given. */
struct metric *cmt_counter_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys);
struct metric *cmt_gauge_create(struct cmt *c, char *ns, char *subsystem, char *name, char *help, int n, char **keys);
/* Values of a label; ts is nanoseconds since 1970. */
int cmt_counter_add(struct metric *m, uint64_t ts, double v, int n, char **labels);
int cmt_counter_set(struct metric *m, uint64_t ts, double v, int n, char **labels);
int cmt_gauge_set(struct metric *m, uint64_t ts, double v, int n, char **labels);
/* All of them as Prometheus' text, released with cmt_encode_prometheus_destroy. */
char *cmt_encode_prometheus_create(struct cmt *c, int add_timestamp);
void cmt_encode_prometheus_destroy(char *text);
/* The present, in nanoseconds since 1970. */
uint64_t cmt_now(void);

#endif
