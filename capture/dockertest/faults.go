package dockertest

import (
	"context"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// Answer is what a request gets instead of the true answer.
type Answer struct {
	Status  int    // 0 is 200
	Message string // of the JSON error
	Body    []byte // sent instead of a JSON error when not nil: garbage, or an answer of the test's own
	Hang    bool   // no answer at all, until the fault is undone; then the true one
	Cut     bool   // the connection is closed instead
	Times   int    // how many requests get it, 0 is all
}

type override struct {
	ep   Endpoint
	c    *Ctr
	ans  Answer
	left int           // of Times, < 0 = unlimited
	gone chan struct{} // closed when undone
}

// Override makes requests to the endpoint ([Any]: to each), about the container (nil: about any or none), get another answer. The last one that
// fits goes first. undo takes it back; it may be called again.
func (e *Engine) Override(ep Endpoint, c *Ctr, ans Answer) (undo func()) {
	o := &override{ep: ep, c: c, ans: ans, left: ans.Times, gone: make(chan struct{})}
	if ans.Times == 0 {
		o.left = -1
	}
	e.mu.Lock()
	e.overrides = append(e.overrides, o)
	e.mu.Unlock()
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if i := slices.Index(e.overrides, o); i >= 0 {
			e.overrides = slices.Delete(e.overrides, i, i+1)
			close(o.gone)
		}
	}
}

// Hang makes the Engine accept every request and not answer it until release is called.
func (e *Engine) Hang() (release func()) { return e.Override(Any, nil, Answer{Hang: true}) }

// overridden answers the request if a fault is ordered for it.
func (e *Engine) overridden(w http.ResponseWriter, r *http.Request, ep Endpoint, c *Ctr) bool {
	o := e.takeOverride(ep, c)
	switch {
	case o == nil:
		return false
	case o.ans.Hang:
		return !hang(r.Context(), o.gone)
	case o.ans.Cut:
		panic(http.ErrAbortHandler)
	}
	status := o.ans.Status
	if status == 0 {
		status = http.StatusOK
	}
	if o.ans.Body == nil {
		fail(w, status, o.ans.Message)
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(o.ans.Body)
	return true
}

func (e *Engine) takeOverride(ep Endpoint, c *Ctr) *override {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range slices.Backward(e.overrides) {
		if o.left == 0 || o.ep != Any && o.ep != ep || o.c != nil && o.c != c {
			continue
		}
		if o.left > 0 {
			o.left--
		}
		return o
	}
	return nil
}

// hang reports whether it was released before the client left.
func hang(ctx context.Context, released <-chan struct{}) bool {
	select {
	case <-released:
		return true
	case <-ctx.Done():
		return false
	}
}

// AsNobody makes the whole process an ordinary user until restore is called or the test is over, so that a socket's permissions hold up root
// too: the one of [Start] then cannot be reached at all. Without root it does nothing.
func AsNobody(t testing.TB) (restore func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func() {}
	}
	const keep, nobody = -1, 65534
	if err := syscall.Setresuid(keep, nobody, keep); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setresuid(keep, 0, keep); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}
