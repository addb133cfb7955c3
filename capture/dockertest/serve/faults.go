package serve

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"fluent-bit-docker-logs/capture/dockertest/containers"
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
	c    *containers.Ctr
	ans  Answer
	left int           // of Times, < 0 = unlimited
	gone chan struct{} // closed when undone
}

// Faults are answers that were ordered in the place of true ones. The zero value is none.
type Faults struct {
	mu      sync.Mutex
	ordered []*override
}

// Override makes requests to the endpoint get another answer.
// [Any] is each endpoint. c is the container that they are about, nil: any or none. The last one that
// fits goes first. undo takes it back; it may be called again.
func (f *Faults) Override(ep Endpoint, c *containers.Ctr, ans Answer) (undo func()) {
	o := &override{ep: ep, c: c, ans: ans, left: ans.Times, gone: make(chan struct{})}
	if ans.Times == 0 {
		o.left = -1
	}
	f.mu.Lock()
	f.ordered = append(f.ordered, o)
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if i := slices.Index(f.ordered, o); i >= 0 {
			f.ordered = slices.Delete(f.ordered, i, i+1)
			close(o.gone)
		}
	}
}

// Hang makes the Engine answer no request until release is called.
// It accepts them.
func (f *Faults) Hang() (release func()) { return f.Override(Any, nil, Answer{Hang: true}) }

// answer answers the request if a fault is ordered for it.
func (f *Faults) answer(w http.ResponseWriter, r *http.Request, ep Endpoint, c *containers.Ctr) bool {
	o := f.take(ep, c)
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

func (f *Faults) take(ep Endpoint, c *containers.Ctr) *override {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range slices.Backward(f.ordered) {
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
