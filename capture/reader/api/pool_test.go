package api

import (
	"context"
	"errors"
	"sync"
	"testing"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// occupied makes pollers that are all busy until release is called.
func occupied(t *testing.T, n int) (p *Pool, release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	conn := engine.NewState()
	conn.Set(true)
	p = NewPool(conn, n)
	hold, busy := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := p.do(ctx, func() error { busy <- struct{}{}; <-hold; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-busy
	}
	return p, sync.OnceFunc(func() {
		close(hold)
		wg.Wait()
		cancel()
		p.Wait()
	})
}

// A poll waits for a poller, but not for longer than the Engine is there or the
// poll is wanted, and its error and its panic are its own.
func TestPollers(t *testing.T) {
	p, release := occupied(t, 3)
	defer release()
	never := func() error { t.Error("it was done"); return nil }

	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 2)
	go func() { waits <- p.do(ctx, never) }()
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	go func() { waits <- p.do(t.Context(), never) }()
	p.conn.Set(false)
	if err := <-waits; !errors.Is(err, engine.ErrDown) {
		t.Errorf("without the Engine: %v", err)
	}

	p.conn.Set(true)
	boom := errors.New("boom")
	go func() { waits <- p.do(t.Context(), func() error { return boom }) }()
	go func() { waits <- p.do(t.Context(), func() error { panic(boom) }) }()
	release()
	var caught supervise.PanicError
	if err := errors.Join(<-waits, <-waits); !errors.Is(err, boom) || !errors.As(err, &caught) {
		t.Errorf("errors: %v", err)
	}
}
