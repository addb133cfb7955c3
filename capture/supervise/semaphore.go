package supervise

import "context"

// Semaphore bounds how many hold it at the same time.
type Semaphore chan struct{}

// Acquire waits until it is held, or ctx is done.
func (s Semaphore) Acquire(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
