package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

const pluginName = "docker_logs"

// Fluent Bit's log levels, include/fluent-bit/flb_log.h.
const (
	levelOff = iota
	levelError
	levelWarn
	levelInfo
	levelDebug
	levelTrace
)

// maxText is the length of a line from which on it is printed in several:
// Fluent Bit cuts at 4096 bytes, with a time in front.
const maxText = 4000

// maxLines bounds the lines that wait for the instance's thread.
const maxLines = 256

// flbLevel maps slog's levels; what is below Debug is a trace.
func flbLevel(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return levelError
	case l >= slog.LevelWarn:
		return levelWarn
	case l >= slog.LevelInfo:
		return levelInfo
	case l >= slog.LevelDebug:
		return levelDebug
	}
	return levelTrace
}

// logQueue carries lines from any goroutine to the instance's thread: printed
// from elsewhere they would go to stderr, whatever Log_File says.
type logQueue struct {
	print func(level int, line string) // on the instance's thread
	wake  func()                       // asks for a flush, from any goroutine

	mu      sync.Mutex
	lines   []logLine // guarded by mu
	dropped int       // guarded by mu
}

type logLine struct {
	level int
	text  string
}

func (q *logQueue) put(level int, text string) {
	q.mu.Lock()
	if len(q.lines) < maxLines {
		q.lines = append(q.lines, logLine{level, text})
	} else {
		q.dropped++
	}
	q.mu.Unlock()
	q.wake()
}

// flush prints what is queued. On the instance's thread only.
func (q *logQueue) flush() {
	q.mu.Lock()
	lines, dropped := q.lines, q.dropped
	q.lines, q.dropped = nil, 0
	q.mu.Unlock()
	for _, l := range lines {
		q.print(l.level, l.text)
	}
	if dropped > 0 {
		q.print(levelWarn, fmt.Sprintf("[input:%s] %d log lines dropped: too many at once", pluginName, dropped))
	}
}

// logHandler formats in Fluent Bit's manner, `[input:docker_logs:NAME] text`,
// with attributes as key=value behind.
type logHandler struct {
	queue  *logQueue
	prefix string
	level  int // the most verbose that is printed

	// attrs writes only attributes, into buf; guarded by mu, which all
	// handlers derived from one share.
	attrs slog.Handler
	mu    *sync.Mutex
	buf   *bytes.Buffer
}

func newLogger(queue *logQueue, name string, level int) *slog.Logger {
	buf := new(bytes.Buffer)
	return slog.New(&logHandler{
		queue:  queue,
		prefix: fmt.Sprintf("[input:%s:%s] ", pluginName, name),
		level:  level,
		attrs:  slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug - 100, ReplaceAttr: onlyAttrs}),
		mu:     new(sync.Mutex),
		buf:    buf,
	})
}

// onlyAttrs drops what Fluent Bit prints itself or the prefix precedes.
func onlyAttrs(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return flbLevel(l) <= h.level
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Reset()
	if err := h.attrs.Handle(ctx, r); err != nil {
		return err
	}
	text := h.prefix + strings.ReplaceAll(r.Message, "\n", `\n`)
	if attrs := bytes.TrimSpace(h.buf.Bytes()); len(attrs) > 0 {
		text += " " + string(attrs)
	}
	for more := ""; text != ""; more = h.prefix + "(continued) " {
		n := min(len(text), maxText-len(more))
		h.queue.put(flbLevel(r.Level), more+text[:n])
		text = text[n:]
	}
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	derived := *h
	derived.attrs = h.attrs.WithAttrs(attrs)
	return &derived
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	derived := *h
	derived.attrs = h.attrs.WithGroup(name)
	return &derived
}
