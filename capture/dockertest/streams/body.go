package streams

import (
	"context"
	"net/http"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// body writes a response body through the faults. It implements store.Client.
type body struct {
	ctx  context.Context //nolint:containedctx // of the one request that this writer lives for
	w    http.ResponseWriter
	left int64 // bytes until the cut, < 0 = no cut
	rate func() int
}

// Flush sends what was written.
func (b *body) Flush() error { return http.NewResponseController(b.w).Flush() }

// Write implements io.Writer. It panics with http.ErrAbortHandler where the body is cut.
func (b *body) Write(p []byte) (n int, err error) {
	cutHere := b.left >= 0 && int64(len(p)) >= b.left
	if cutHere {
		p = p[:b.left]
	}
	for len(p) > 0 {
		step := len(p)
		rate := b.rate()
		if rate > 0 {
			step = min(step, max(1, rate/50))
		}
		w, err := b.w.Write(p[:step])
		n += w
		if err != nil {
			return n, err
		}
		p = p[step:]
		if rate > 0 {
			if err := b.Flush(); err != nil {
				return n, err
			}
			if !wait.Sleep(b.ctx, time.Duration(step)*time.Second/time.Duration(rate)) {
				return n, b.ctx.Err()
			}
		}
	}
	if cutHere {
		_ = b.Flush()
		panic(http.ErrAbortHandler)
	}
	if b.left >= 0 {
		b.left -= int64(n)
	}
	return n, nil
}
