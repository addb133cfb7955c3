// Package readertest is what every reader must do, as tests. It has a stream for
// them.
//
// The stream does nothing but what it is told, and takes note of that. The package
// knows no reader: who has one makes a Source of it.
package readertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// Stream is the host of a reader's log.
type Stream struct {
	Log     *reader.Log
	Metrics *lines.Metrics

	tb    testing.TB
	mu    sync.Mutex
	ctr   container.Container // guarded by mu
	notes []string            // guarded by mu
}

// New makes a stream that begins at the beginning of its log.
func New(tb testing.TB, ctr container.Container) *Stream {
	n := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{}) }
	s := &Stream{tb: tb, ctr: ctr}
	s.Metrics = &lines.Metrics{Lines: n(), Bytes: n(), Partials: n(), Truncated: n(), Doubles: n(), Undated: n(), Joined: n(), Damaged: n(), Gaps: n(), Panics: n()}
	out := outbox.New(256<<10, 16<<20, func() {})
	shared := lines.NewShared(out, 1<<20, [3]bool{decode.Stdout: true, decode.Stderr: true}, func() int64 { return time.Now().UnixNano() }, s.Metrics)
	tb.Cleanup(func() {
		out.Close()
		shared.Close()
	})
	log := slog.New(slog.NewTextHandler(tb.Output(), nil))
	w := &lines.Writer{}
	w.SetUp(shared, w, log, func() lines.Course { return lines.Course{} }, position.Position{})
	w.Describe(&ctr)
	w.Make("", encoder{})
	s.Log = &reader.Log{
		ID: ctr.ID, Host: s, Writer: w, Out: out, Task: supervise.NewTask("stream", log, nil), Say: log,
		Said: &say.Once{}, Trouble: &say.Trouble{What: "reading the log"}, Poke: make(chan struct{}, 1),
	}
	return s
}

// encoder makes records that Texts reads: a length and a text.
type encoder struct{}

func (encoder) Size(n int) int { return 4 + n }

func (encoder) Append(dst []byte, _ int64, _ uint8, text []byte, _ bool) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(text))), text...)
}

// WaitTexts takes n lines as they come.
func (s *Stream) WaitTexts(n int) (texts []string) {
	s.tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); len(texts) < n; {
		select {
		case <-tick.C:
			texts = append(texts, s.Texts()...)
		case <-late:
			s.tb.Fatalf("%d of %d lines came", len(texts), n)
		}
	}
	return texts
}

// Texts takes what was delivered since the last call.
func (s *Stream) Texts() (texts []string) {
	out := s.Log.Out
	for b := out.Next(); b != nil; b = out.Next() {
		for rest := b.Buf; len(rest) > 0; {
			n := 4 + int(binary.BigEndian.Uint32(rest))
			texts, rest = append(texts, string(rest[4:n])), rest[n:]
		}
		n := uint64(b.Records)
		out.Appended()
		_, acked, _ := out.Totals()
		out.Ack(acked + n)
	}
	return texts
}

// Gaps is how many were counted.
func (s *Stream) Gaps() int { return int(testutil.ToFloat64(s.Metrics.Gaps)) }

// Notes are what the reader has told, in order.
func (s *Stream) Notes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.notes...)
}

func (s *Stream) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// Describe changes what is known of the container.
func (s *Stream) Describe(change func(c *container.Container)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.ctr)
}

// Container implements reader.Host.
func (s *Stream) Container() *container.Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.ctr
	return &c
}

// Inspect returns the same.
func (s *Stream) Inspect(context.Context) (*container.Container, error) { return s.Container(), nil }

// Opened is noted.
func (s *Stream) Opened() { s.note("opened") }

// InSync is noted.
func (s *Stream) InSync() { s.note("in sync") }

// Rotated is noted.
func (s *Stream) Rotated() { s.note("rotated") }

// WaitRoom does not wait.
func (s *Stream) WaitRoom(context.Context) error { return reader.ErrBackpressure }

// Gap goes on as a stream does.
func (s *Stream) Gap(ctx context.Context, a *position.Anchor) error {
	s.note("gap")
	switch other, err := s.Log.GapBehind(ctx, a); {
	case err != nil:
		return err
	case other:
		return reader.ErrMoved
	}
	return reader.ErrNotInView
}

// FirstLook leaves no record from the future out.
func (s *Stream) FirstLook(target *position.Position, whole bool) *position.FirstLook {
	return position.NewFirstLook(target, whole, nil)
}

// CutOff is noted.
func (s *Stream) CutOff() { s.note("cut off") }

// Asks is not noted.
func (s *Stream) Asks(time.Time) {}

// PolledAt is noted.
func (s *Stream) PolledAt(time.Time) { s.note("polled") }

// FileAppeared is never so.
func (s *Stream) FileAppeared() bool { return false }

// WakesUp is never so.
func (s *Stream) WakesUp(float64) bool { return false }

// Path is what the container says.
func (s *Stream) Path(context.Context) (string, error) {
	if path := s.Container().LogPath; path != "" {
		return path, nil
	}
	return "", errors.Join(reader.ErrNoFile)
}

// FromFile is noted.
func (s *Stream) FromFile(path string) { s.note("from %s", path) }
