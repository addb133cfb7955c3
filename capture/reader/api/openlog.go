package api

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
)

// openLog is a request for a log that the Engine has answered. Whoever has it
// closes it, whatever came of it: a body that is neither closed nor read to
// its end keeps a connection and two goroutines for ever.
type openLog struct {
	ctx       context.Context //nolint:containedctx // the request's; it lives as long as this
	interrupt context.CancelCauseFunc
	body      io.ReadCloser
	asked     time.Time
	limit     int            // the tail that was asked for
	had       uint64         // records consumed then
	w         *decode.Window // what was read of it

	midway atomic.Bool // it is sent still what was stored when it was opened, or a part of a record
	capped bool        // it is as long as can be read of a damaged log
	first  bool        // w was filled before it was asked for
}

// close may be called more than once.
func (l *openLog) close() {
	if l.w == nil {
		return
	}
	_ = l.body.Close() // whatever it says, nothing more is read
	l.interrupt(nil)   // not before: the connection may be of use again
	l.w.Free()
	l.w = nil
}

// fill reads once into the window, unless that was done already.
func (l *openLog) fill() (int, error) {
	if l.first {
		l.first = false
		return l.w.Rest(), nil
	}
	return l.w.Fill(l.body)
}

// await reads once, ahead of the first fill: then the Engine has opened the
// log, and will send it to its end even if the container is removed.
func (l *openLog) await() error {
	n, err := l.w.Fill(l.body)
	l.first = n > 0
	if n > 0 && errors.Is(err, io.EOF) {
		return nil // the next read says it again
	}
	return engine.Cause(l.ctx, err)
}
