package api

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// Pool are goroutines that do the polls of all streams, by turns. A stream
// that is polled waits most of its life, and there may be thousands of them:
// the deep calls of a request would make each one's stack several times as
// large, and a goroutine made for each poll would have to grow its own anew.
// For the same reason what lies between a stream's start and its wait is kept
// shallow.
type Pool struct {
	conn  *engine.State
	polls chan job
	room  supervise.Semaphore // one for each poller
}

type job struct {
	ctx  context.Context //nolint:containedctx // of the stream's read
	f    func() error
	done chan error // capacity 1
}

// NewPool makes at most n of them. Where conn is down none is waited for.
func NewPool(conn *engine.State, n int) *Pool {
	return &Pool{conn: conn, polls: make(chan job), room: make(supervise.Semaphore, n)}
}

// do has a poller run f, and waits for it. Where all are busy until the
// connection to the Engine is given up, that is engine.ErrDown.
func (p *Pool) do(ctx context.Context, f func() error) error {
	j := job{ctx, f, make(chan error, 1)}
	select {
	case p.polls <- j:
		return <-j.done
	default:
	}
	up, changed := p.conn.Get()
	if !up {
		return engine.ErrDown
	}
	select {
	case p.polls <- j:
	case p.room <- struct{}{}:
		go p.work(j)
	case <-changed:
		return engine.ErrDown
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return <-j.done
}

// work does polls until there has been none for a while, or the last one's
// stream has ended, as all do with the capture.
func (p *Pool) work(j job) {
	defer func() { <-p.room }()
	idle := time.NewTimer(engine.IdleTimeout)
	defer idle.Stop()
	for {
		j.done <- supervise.Catch(j.f)
		idle.Reset(engine.IdleTimeout)
		select {
		case j = <-p.polls:
		case <-idle.C:
			return
		case <-j.ctx.Done():
			return
		}
	}
}

// Wait waits for the pollers to end after all streams have. It gives up on one
// that is still busy: its task was left behind.
func (p *Pool) Wait() {
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for range cap(p.room) {
		select {
		case p.room <- struct{}{}:
			defer func() { <-p.room }()
		case <-late.C:
			return
		}
	}
}
