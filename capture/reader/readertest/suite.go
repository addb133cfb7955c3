package readertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/testkit"
)

// Source is a container's log, and a way to read it.
type Source struct {
	Container container.Container
	Stdout    func(lines ...string)
	Stderr    func(lines ...string)
	Cut       func() // all that was written before is gone
	// Open makes the reader of one run.
	Open func(s *Stream) reader.Reader
	// Begin finds where the capture begins, where Read does not.
	Begin func(ctx context.Context, r reader.Reader) error
}

// Run is what every reader must do. Each test has a log of its own, which is empty.
func Run(t *testing.T, source func(t *testing.T) *Source) {
	for name, test := range map[string]func(*testing.T, *Source){
		"to the end and on from there": toTheEnd,
		"long lines":                   longLines,
		"what is written meanwhile":    meanwhile,
		"after a restart":              afterARestart,
		"the last lines":               lastLines,
		"a gap":                        aGap,
		"not for a run that is over":   cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, source(t)) })
	}
}

func numbered(what string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(what, " ", i))
	}
	return all
}

// readAll reads a log to its end.
func (x *Source) readAll(t *testing.T, s *Stream) []string {
	t.Helper()
	r := x.Open(s)
	if x.Begin != nil {
		testkit.Must(t, x.Begin(t.Context(), r))
	}
	testkit.Must(t, r.Read(t.Context(), false))
	return s.Texts()
}

// noGap makes sure that nothing is said to be lost.
func noGap(t *testing.T, s *Stream) {
	t.Helper()
	if n := s.Gaps(); n != 0 {
		t.Errorf("%d gaps: %q", n, s.Notes())
	}
}

// A read goes to the end of the log, and the next one on from there.
func toTheEnd(t *testing.T, x *Source) {
	s := New(t, x.Container)
	testkit.CheckSequence(t, "an empty log", nil, x.readAll(t, s))
	x.Stdout(numbered("line", 0, 500)...)
	testkit.CheckSequence(t, "lines", numbered("line", 0, 500), x.readAll(t, s))
	testkit.CheckSequence(t, "nothing new", nil, x.readAll(t, s))
	x.Stdout(numbered("line", 500, 600)...)
	testkit.CheckSequence(t, "more lines", numbered("line", 500, 600), x.readAll(t, s))
	noGap(t, s)
}

// A line that is stored in pieces is one, whatever the other std stream writes.
func longLines(t *testing.T, x *Source) {
	s := New(t, x.Container)
	var want []string
	for i := range 5 {
		long := fmt.Sprint(i, " ", strings.Repeat("x", 3*decode.ChunkSize))
		x.Stdout(long)
		x.Stderr("short")
		want = append(want, long, "short")
	}
	testkit.CheckSequence(t, "lines", want, x.readAll(t, s))
	noGap(t, s)
}

// A read that follows brings what is written meanwhile, until it is ended.
func meanwhile(t *testing.T, x *Source) {
	s := New(t, x.Container)
	x.Stdout(numbered("line", 0, 100)...)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	r := x.Open(s)
	if x.Begin != nil {
		testkit.Must(t, x.Begin(ctx, r))
	}
	go func() { done <- r.Read(ctx, true) }()
	have := s.WaitTexts(100)
	for i := 100; i < 300; i += 20 {
		x.Stdout(numbered("line", i, i+20)...)
		have = append(have, s.WaitTexts(20)...)
	}
	cancel(stop)
	if err := <-done; !errors.Is(err, stop) {
		t.Errorf("it ended with %v", err)
	}
	testkit.CheckSequence(t, "lines", numbered("line", 0, 300), append(have, s.Texts()...))
	noGap(t, s)
}

// Another stream goes on where the one before was.
func afterARestart(t *testing.T, x *Source) {
	s := New(t, x.Container)
	x.Stdout(numbered("line", 0, 300)...)
	x.readAll(t, s)
	x.Stdout(numbered("line", 300, 2000)...)
	again := New(t, x.Container)
	testkit.Must(t, again.Log.BeginAt(t.Context(), s.Log.Position()))
	testkit.CheckSequence(t, "lines", numbered("line", 300, 2000), x.readAll(t, again))
	noGap(t, again)
}

// A capture may begin with the last lines.
func lastLines(t *testing.T, x *Source) {
	x.Stdout(numbered("line", 0, 300)...)
	s := New(t, x.Container)
	testkit.Must(t, s.Log.BeginAt(t.Context(), position.Position{Kind: position.FromTail, Tail: 10}))
	testkit.CheckSequence(t, "lines", numbered("line", 290, 300), x.readAll(t, s))
}

// A log that does not hold the place any more is a gap, once, and goes on with
// what is newer.
func aGap(t *testing.T, x *Source) {
	s := New(t, x.Container)
	x.Stdout(numbered("old", 0, 50)...)
	x.readAll(t, s)
	x.Stdout(numbered("lost", 0, 50)...)
	x.Cut()
	x.Stdout(numbered("new", 0, 50)...)
	again := New(t, x.Container)
	p := s.Log.Position()
	p.Place = decode.Place{}
	testkit.Must(t, again.Log.BeginAt(t.Context(), p))
	r := x.Open(again)
	if err := r.Read(t.Context(), false); !errors.Is(err, reader.ErrMoved) {
		t.Fatalf("it ended with %v", err)
	}
	testkit.CheckSequence(t, "lines", numbered("new", 0, 50), x.readAll(t, again))
	if n := again.Gaps(); n != 1 {
		t.Errorf("%d gaps: %q", n, again.Notes())
	}
}

// A run that is over delivers nothing.
func cancelled(t *testing.T, x *Source) {
	s := New(t, x.Container)
	x.Stdout(numbered("line", 0, 50)...)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if err := x.Open(s).Read(ctx, true); !errors.Is(err, stop) {
		t.Errorf("it ended with %v", err)
	}
	testkit.CheckSequence(t, "lines", nil, s.Texts())
}
