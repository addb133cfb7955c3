package file

import (
	"context"
	"sync"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/supervise"
)

// readBuffer is what one read of a log file needs.
type readBuffer struct {
	bytes   []byte // decode.MaxWindow long
	scratch []byte // of the JSONCutter
}

// readBuffers lends buffers for one read each, and only so many at a time:
// records go into the outbox one block after the other, so that more would
// only hold memory, however many files have something to read.
type readBuffers struct {
	lent supervise.Semaphore
	pool sync.Pool
}

// maxLent is how many buffers are lent at the same time.
const maxLent = 16

func newReadBuffers() *readBuffers {
	return &readBuffers{
		lent: make(supervise.Semaphore, maxLent),
		pool: sync.Pool{New: func() any { return &readBuffer{bytes: make([]byte, decode.MaxWindow)} }},
	}
}

// lend waits until there is a buffer. Give it back before anything is waited
// for.
func (p *readBuffers) lend(ctx context.Context) (*readBuffer, error) {
	select {
	case p.lent <- struct{}{}:
		return p.pool.Get().(*readBuffer), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// giveBack ends what lend began.
func (p *readBuffers) giveBack(b *readBuffer) {
	if cap(b.scratch) > decode.MaxWindow {
		b.scratch = nil
	}
	p.pool.Put(b)
	<-p.lent
}
