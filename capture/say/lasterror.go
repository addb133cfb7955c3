package say

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// LastError is the last warning or error that was logged.
type LastError struct {
	mu   sync.Mutex
	text string    // guarded by mu
	at   time.Time // guarded by mu
}

// Get returns it, "" and nil if there was none.
func (l *LastError) Get() (text string, at *time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == "" {
		return "", nil
	}
	t := l.at.UTC()
	return l.text, &t
}

// Remember returns a logger that logs as log does and keeps the last warning or
// error in l, also one that Log_Level suppresses.
func (l *LastError) Remember(log *slog.Logger) *slog.Logger {
	return slog.New(&rememberHandler{log.Handler(), l})
}

type rememberHandler struct {
	slog.Handler
	last *LastError
}

// Enabled implements slog.Handler.
func (h *rememberHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *rememberHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "error" || a.Key == "panic" {
				text += ": " + a.Value.String()
			}
			return true
		})
		h.last.mu.Lock()
		h.last.text, h.last.at = text, r.Time
		h.last.mu.Unlock()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *rememberHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &rememberHandler{h.Handler.WithAttrs(attrs), h.last}
}

// WithGroup implements slog.Handler.
func (h *rememberHandler) WithGroup(name string) slog.Handler {
	return &rememberHandler{h.Handler.WithGroup(name), h.last}
}
