package supervise

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// NewRetry makes the pauses between tries, each twice as long.
// They go from one to another, and differ by a third, so that what failed together is
// not tried together.
func NewRetry(from, to time.Duration) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{InitialInterval: from, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: to}
	b.Reset()
	return b
}

// Sleep waits and says whether ctx is not done.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Poke sends to c if there is room.
func Poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
