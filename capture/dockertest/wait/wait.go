package wait

import (
	"context"
	"time"
)

// Poke leaves a token in a channel, unless there is one.
func Poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Sleep reports whether ctx lived on for d.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// All waits until all channels are closed, in all at most d.
func All(done []<-chan struct{}, d time.Duration) {
	if len(done) == 0 {
		return
	}
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for _, ch := range done {
		select {
		case <-ch:
		case <-timeout.C:
			return
		}
	}
}
