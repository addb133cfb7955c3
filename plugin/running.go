package main

import (
	"context"
	"log/slog"
	"time"
)

const exitTimeout = 10 * time.Second

// runner is what a source is to running.
type runner interface {
	Run(ctx context.Context) error
}

// running is a Collector from its first event on.
type running struct {
	cancel context.CancelFunc // nil before begin
	done   chan struct{}      // closed when Run is back
}

// begin runs the Collector, unless it runs already. It comes with the first
// event, not earlier: an instance whose event loop never starts leaves nothing
// running behind.
func (r *running) begin(what runner, log *slog.Logger) {
	if r.done != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r.cancel, r.done = cancel, done
	go func() {
		defer close(done)
		defer recovered(log)
		if err := what.Run(ctx); err != nil || ctx.Err() == nil {
			log.Error("capture ended", "error", err)
		}
	}()
}

// end ends Run and reports whether it is back. Fluent Bit's shutdown must not
// hang on us.
func (r *running) end(log *slog.Logger) bool {
	if r.done == nil {
		return true
	}
	r.cancel()
	select {
	case <-r.done:
		return true
	case <-time.After(exitTimeout):
		log.Error("capture did not stop in time: positions since the last checkpoint are not saved",
			"waited", exitTimeout)
		return false
	}
}
