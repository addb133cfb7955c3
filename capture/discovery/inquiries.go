package discovery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/supervise"
)

// inquiries are the containers that are to be inspected. Some goroutines do so,
// each container by one at a time; one that waits for long makes room for
// another, so that containers whose inspect hangs hold up no other.
type inquiries struct {
	do     func(ctx context.Context, seen *container.Container, ran, listed bool)
	log    *slog.Logger
	panics prometheus.Counter

	mu    sync.Mutex
	byID  map[string]*inquiry // that wait or are under way; guarded by mu
	queue []*inquiry          // guarded by mu
	busy  int                 // goroutines that do not wait for long; guarded by mu
	all   int                 // goroutines; guarded by mu
	idle  chan struct{}       // guarded by mu
}

// inquiry is one container that is to be inspected.
type inquiry struct {
	seen   *container.Container // what is known of it
	ran    bool                 // it did run
	listed bool                 // it runs, by the list alone
	again  bool                 // something happened during the inspect
	slow   bool                 // another goroutine has taken its place
}

const (
	maxInspects = 16
	// slowInspect is how long an inspect may take before it counts as hanging,
	// and how long a connect waits for those of the first list.
	slowInspect = 2 * time.Second
)

// ask has a container inspected and done what its state asks for. ran says
// that one that is gone by now did run, listed that it runs though no event said
// so.
func (a *inquiries) ask(ctx context.Context, seen *container.Container, ran, listed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.byID[seen.ID]
	if q == nil {
		q = &inquiry{}
		a.byID[seen.ID] = q
		a.queue = append(a.queue, q)
	}
	q.seen, q.ran, q.listed, q.again = seen, q.ran || ran, q.listed || listed, true
	a.employ(ctx)
}

// repeat has a container that is being inspected inspected once more.
func (a *inquiries) repeat(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.byID[id]; q != nil {
		q.again = true
	}
}

// employ starts goroutines for what waits. mu is held.
func (a *inquiries) employ(ctx context.Context) {
	for n := min(maxInspects-a.busy, len(a.queue)); n > 0; n-- {
		a.busy++
		a.all++
		go a.work(ctx)
	}
}

// work inspects containers until none waits or ctx is done.
func (a *inquiries) work(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slow := false
	for len(a.queue) > 0 && !slow {
		q := a.queue[0]
		a.queue = a.queue[1:]
		for q.again && ctx.Err() == nil {
			q.again = false
			seen, ran, listed := q.seen, q.ran, q.listed
			a.mu.Unlock()
			late := time.AfterFunc(slowInspect, func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				if a.byID[seen.ID] == q && !q.slow {
					q.slow = true
					a.busy--
					a.employ(ctx)
				}
			})
			err := supervise.Catch(func() error { a.do(ctx, seen, ran, listed); return nil })
			late.Stop()
			a.mu.Lock()
			var p supervise.PanicError
			if errors.As(err, &p) {
				a.panics.Inc()
				a.log.Error("a panic was caught, the task is started again", "task", TaskKind, "panic", p.Value, "stack", p.Stack)
			}
		}
		delete(a.byID, q.seen.ID)
		slow = q.slow
	}
	if !slow {
		a.busy--
	}
	if a.all--; a.all == 0 && a.idle != nil {
		close(a.idle)
		a.idle = nil
	}
}

// done is closed when no inspect waits or is under way; nil if that is so. mu is
// held.
func (a *inquiries) done() <-chan struct{} {
	if a.all == 0 {
		return nil
	}
	if a.idle == nil {
		a.idle = make(chan struct{})
	}
	return a.idle
}

// wait waits for all of them, when their context is done.
func (a *inquiries) wait() {
	a.mu.Lock()
	done := a.done()
	a.queue = nil
	clear(a.byID)
	a.mu.Unlock()
	if done != nil {
		<-done
	}
	a.mu.Lock()
	clear(a.byID)
	a.mu.Unlock()
}

// settle waits for the inspects of the first list, but not for one that hangs.
func (a *inquiries) settle(ctx context.Context) {
	a.mu.Lock()
	done := a.done()
	a.mu.Unlock()
	if done == nil {
		return
	}
	late := time.NewTimer(slowInspect)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	case <-ctx.Done():
	}
}
