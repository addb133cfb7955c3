package serve

import (
	"context"
	"net/http"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Latency is the time that requests take. The zero value is none.
type Latency struct {
	mu sync.Mutex
	of func(Endpoint) (arrives, answers time.Duration)
}

// Delay makes requests take time. arrives is before the Engine looks at one, answers between that and its first byte.
// of is called for each request, from any goroutine; nil ends it. A log's first byte is [streams.Orders.FirstByte]'s,
// events have none.
func (l *Latency) Delay(of func(ep Endpoint) (arrives, answers time.Duration)) {
	l.mu.Lock()
	l.of = of
	l.mu.Unlock()
}

// take waits for a request to arrive. It returns where to answer it, and whether the client is there still.
func (l *Latency) take(w http.ResponseWriter, r *http.Request, ep Endpoint) (http.ResponseWriter, bool) {
	l.mu.Lock()
	of := l.of
	l.mu.Unlock()
	if of == nil {
		return w, true
	}
	arrives, answers := of(ep)
	if answers > 0 && ep != Logs && ep != Events {
		w = &lateWriter{ResponseWriter: w, ctx: r.Context(), late: answers}
	}
	return w, wait.Sleep(r.Context(), arrives)
}

// lateWriter sends what was answered after a while.
type lateWriter struct {
	http.ResponseWriter
	ctx  context.Context //nolint:containedctx // of the one request that this writer lives for
	late time.Duration
}

// Unwrap is for http.NewResponseController.
func (w *lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements io.Writer.
func (w *lateWriter) Write(p []byte) (int, error) {
	late := w.late
	if w.late = 0; !wait.Sleep(w.ctx, late) {
		return 0, w.ctx.Err()
	}
	return w.ResponseWriter.Write(p)
}
