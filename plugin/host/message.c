//go:build ignore

/*
 * message.c - words between threads: messages to an instance's thread through
 * its pipe, whose answers are given when all were carried out, and the call
 * that wakes the main thread.
 */
#include "message.h"
#include "engine.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int wake_fd = -1;

/* wake_open returns what is readable after host_wake. */
int wake_open(void) {
    return wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void host_wake(void) {
    uint64_t one = 1;
    if (write(wake_fd, &one, sizeof one) < 0)
        return; /* full: it is awake */
}

void input_send(struct flb_input_instance *ins, int msg) {
    if (write(ins->pipe[1], &msg, sizeof msg) != sizeof msg)
        log_error("[input] %s: message lost: %s", ins->name, strerror(errno));
}

bool input_paused(struct flb_input_instance *ins) {
    return ins->limit_paused || ins->manual_paused;
}

/* input_pause tells the plugin, unless a limit has paused it: nobody tells it twice. */
void input_pause(struct flb_input_instance *ins) {
    if (!input_paused(ins) && !ins->dead)
        input_send(ins, MSG_PAUSE);
}

/* Answers that wait for instances to carry out a message. */
static struct {
    _Atomic int left;
    char what[32];
} answers[64];

/* answer_begin returns a number to send along with messages; the answer is given
 * when every message was carried out and answer_done was called once more. */
int answer_begin(const char *what) {
    static int last;
    int n = last = last % 63 + 1;
    snprintf(answers[n].what, sizeof answers[n].what, "%s", what);
    atomic_store(&answers[n].left, 1);
    return n;
}

void answer_send(struct flb_input_instance *ins, int msg, int answer) {
    atomic_fetch_add(&answers[answer].left, 1);
    input_send(ins, msg | answer << 8);
}

void answer_done(int answer) {
    if (answer && atomic_fetch_sub(&answers[answer].left, 1) == 1)
        host_answer("ok %s", answers[answer].what);
}
