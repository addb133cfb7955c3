package main

import (
	"log/slog"
	"sync"

	"golang.org/x/sys/unix"
)

// table finds an instance by its thread.
type table struct {
	mu       sync.Mutex
	byThread map[int]*instance // guarded by mu
}

var instances = table{byThread: map[int]*instance{}}

func (t *table) add(thread int, in *instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byThread[thread] = in
}

func (t *table) get(thread int) *instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byThread[thread]
}

func (t *table) remove(thread int) *instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.byThread[thread]
	delete(t.byThread, thread)
	return in
}

func threadID() int { return unix.Gettid() }

// current is the instance of the calling thread, nil if it has none.
func current() *instance { return instances.get(threadID()) }

func closeCurrent() {
	if in := instances.remove(threadID()); in != nil {
		in.close()
	}
}

// guarded runs the body of an export; a panic ends in the log and in the
// result failed instead of in Fluent Bit.
func guarded(failed int, body func() int) (result int) {
	var log *slog.Logger
	if in := current(); in != nil {
		defer in.lines.flush()
		log = in.log
	}
	result = failed //nolint:wastedassign // it is what a panic leaves
	defer recovered(log)
	return body()
}
