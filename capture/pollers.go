package capture

import (
	"context"
	"time"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// pollers are goroutines that do the polls of all streams, by turns. A stream
// that is polled waits most of its life, and there may be thousands of them:
// the deep calls of a request would make each one's stack several times as
// large, and a goroutine made for each poll would have to grow its own anew.
// For the same reason what lies between a stream's start and its wait is kept
// shallow.
type pollers struct {
	conn  *engine.State
	polls chan poll
	room  semaphore // one for each poller
}

type poll struct {
	ctx  context.Context //nolint:containedctx // of the stream's read
	f    func() error
	done chan error // capacity 1
}

func newPollers(conn *engine.State, n int) *pollers {
	return &pollers{conn: conn, polls: make(chan poll), room: make(semaphore, n)}
}

// do has a poller run f, and waits for it. Where all are busy until the
// connection to the Engine is given up, that is errEngineDown.
func (p *pollers) do(ctx context.Context, f func() error) error {
	j := poll{ctx, f, make(chan error, 1)}
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
func (p *pollers) work(j poll) {
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

// wait waits for the pollers to end after all streams have. It gives up on one
// that is still busy: its task was left behind.
func (p *pollers) wait() {
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

// apart runs f in a goroutine of its own, for the sake of the stack of a
// goroutine that seldom does so.
func apart(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- supervise.Catch(f) }()
	return <-done
}
