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

// Remember returns a logger whose last warning or error l keeps. It logs as log does; l
// has also what Log_Level suppresses. What is logged with the attribute container is
// kept behind that name: it is read where nothing else tells of whom it is.
func (l *LastError) Remember(log *slog.Logger) *slog.Logger {
	return slog.New(&rememberHandler{Handler: log.Handler(), last: l})
}

// keyContainer is the attribute that names a container.
const keyContainer = "container"

type rememberHandler struct {
	slog.Handler
	last *LastError
	of   string // the container that it was made for
}

// Enabled implements slog.Handler.
func (h *rememberHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *rememberHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		of, text := h.of, r.Message
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "error", "panic":
				text += ": " + a.Value.String()
			case keyContainer:
				of = a.Value.String()
			}
			return true
		})
		if of != "" {
			text = of + ": " + text
		}
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
	of := h.of
	for _, a := range attrs {
		if a.Key == keyContainer {
			of = a.Value.String()
		}
	}
	return &rememberHandler{h.Handler.WithAttrs(attrs), h.last, of}
}

// WithGroup implements slog.Handler.
func (h *rememberHandler) WithGroup(name string) slog.Handler {
	return &rememberHandler{h.Handler.WithGroup(name), h.last, h.of}
}
