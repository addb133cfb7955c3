package lines

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

// tracingWriter is a stream that joins traces, and that no timer looks at.
func tracingWriter(t *testing.T, l Languages) *Writer {
	w := newTestWriter(newTestShared(t))
	w.Shared.Close()
	w.out.BatchSize = 4 << 10 // seals within
	w.JoinTraces(l)
	return w
}

// A restart at any moment, while traces and long lines of both std streams
// overlap, brings each line once, in the same records, with the time of the
// first line. It begins no further back than what is incomplete.
func TestRestartsWithinTraces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var texts []string
	for _, name := range languageNames {
		texts = append(texts, testkit.Traces[name]...)
	}
	// What each std stream writes: texts in any order, now and then a long line.
	all := javaTraces | pythonTraces | goTraces | rubyTraces
	var pieces [3][]decode.Entry
	var want, wantTimes [3][]string
	for std := uint8(decode.Stdout); std <= decode.Stderr; std++ {
		var lines []string
		for range 300 {
			text := strings.Split(texts[rnd.IntN(len(texts))], "\n")
			if rnd.IntN(3) == 0 {
				text[rnd.IntN(1+rnd.IntN(len(text)))] += strings.Repeat(" and more", 1+rnd.IntN(3*decode.ChunkSize/9))
			}
			lines = append(lines, text...)
		}
		want[std] = joined(all, lines)
		for n, line := range lines {
			ts := int64(1e18) + int64(n)*1000 + int64(std)
			for len(line) >= decode.ChunkSize {
				pieces[std] = append(pieces[std], decode.Entry{Std: std, TS: ts, Text: []byte(line[:decode.ChunkSize])})
				line = line[decode.ChunkSize:]
			}
			pieces[std] = append(pieces[std], decode.Entry{Std: std, TS: ts, Text: []byte(line), Newline: true})
		}
		n := 0
		for _, text := range want[std] {
			wantTimes[std] = append(wantTimes[std], fmt.Sprint(int64(1e18)+int64(n)*1000+int64(std)))
			n += strings.Count(text, "\n") + 1
		}
	}
	var log []decode.Entry
	index := map[position.Mark]int{}
	for len(pieces[decode.Stdout])+len(pieces[decode.Stderr]) > 0 {
		std := decode.Stdout + rnd.IntN(2)
		if n := min(len(pieces[std]), 1+rnd.IntN(5)); n > 0 {
			for _, e := range pieces[std][:n] {
				index[position.MarkOf(&e)] = len(log)
				log = append(log, e)
			}
			pieces[std] = pieces[std][n:]
		}
	}

	w := tracingWriter(t, all)
	var have, haveTimes [3][]string
	take := func(batches int) (more bool) {
		rs, more := takeSome(t, w, batches)
		for _, r := range rs {
			have[r.std] = append(have[r.std], r.text)
			haveTimes[r.std] = append(haveTimes[r.std], fmt.Sprint(r.ts))
		}
		return more
	}
	restarts, within, was := 0, 0, map[int]bool{}
	for at := 0; at < len(log); {
		w.Accept(&log[at])
		at++
		if rnd.IntN(10) == 0 {
			take(2)
		}
		rare := false // a long line began a trace
		for _, l := range w.traces {
			rare = rare || l.lines == 1 && l.records > 1 && !was[at]
		}
		was[at] = was[at] || rare
		if !rare && (restarts > 1000 || rnd.IntN(10) != 0) {
			continue
		}
		restarts++
		if take(rnd.IntN(4)) { // the rest is gone with the process
			drop(w)
		}
		p := w.Committed
		if !w.Waits() {
			p = w.Snapshot()
		}
		kept := checkpoint.PositionOf(&p)
		p, err := kept.Restore()
		must(t, err)
		w = tracingWriter(t, all) // another process
		w.goOn(p)
		w.Committed = p
		from := 0
		if p.Anchor.N > 0 {
			from = index[p.Anchor.Newest()] + 1
		}
		if from < at {
			within++
		}
		at = from
	}
	w.endTraces()
	take(1 << 10)
	for _, std := range []int{decode.Stdout, decode.Stderr} {
		checkSequence(t, fmt.Sprint("std ", std), want[std], have[std])
		checkSequence(t, fmt.Sprint("times of std ", std), wantTimes[std], haveTimes[std])
	}
	if within < 50 {
		t.Errorf("only %d of %d restarts were within something incomplete", within, restarts)
	}
}

// drop is the end of a process: what was not taken is gone.
func drop(w *Writer) {
	for b := w.out.Next(); b != nil; b = w.out.Next() {
		w.out.Appended()
	}
}

// Each bound of a trace ends it; what follows comes as lines, and nothing is lost.
func TestBoundsOfATrace(t *testing.T) {
	const frame = "\tat a.B.c(B.java:1)"
	feed := func(w *Writer, at int64, lines ...string) {
		must(t, w.Deliver(t.Context(), nil, func() error {
			for i, line := range lines {
				w.Accept(&decode.Entry{Std: decode.Stdout, TS: at + int64(i), Text: []byte(line), Newline: true})
			}
			return nil
		}))
	}
	texts := func(w *Writer) (texts []string) {
		w.endTraces()
		for _, r := range takeAll(t, w) {
			if r.truncated {
				t.Errorf("%.40q is flagged", r.text)
			}
			texts = append(texts, r.text)
		}
		return texts
	}
	const at = int64(1e18)
	head := "x.YException: z"

	w := tracingWriter(t, javaTraces)
	feed(w, at, append([]string{head}, strings.Split(strings.Repeat(frame+"\n", maxTraceLines)+"end", "\n")...)...)
	checkSequence(t, "lines", []string{head + strings.Repeat("\n"+frame, maxTraceLines-1), frame, "end"}, texts(w))

	w = tracingWriter(t, javaTraces)
	w.maxLine = 1024
	feed(w, at, append([]string{head}, strings.Split(strings.Repeat(frame+"\n", 60)+"end", "\n")...)...)
	have := texts(w)
	checkSequence(t, "bytes", append([]string{head}, strings.Split(strings.Repeat(frame+"\n", 60)+"end", "\n")...), testkit.LinesOf(have))
	if n := len(have[0]); n > 1024 || n+1+len(frame) <= 1024 {
		t.Errorf("%d bytes were joined", n)
	}

	w = tracingWriter(t, javaTraces)
	feed(w, at, head, frame)
	feed(w, at+1+int64(tracePause), frame)
	feed(w, at+2+2*int64(tracePause), frame)
	checkSequence(t, "time", []string{head + "\n" + frame + "\n" + frame, frame}, texts(w))

	w = tracingWriter(t, javaTraces)
	for i := range int64(40) {
		feed(w, at+i*int64(tracePause), []string{head, frame}[min(i, 1)])
	}
	have = texts(w)
	if n := strings.Count(have[0], "\n"); len(have) != 1+39-n || n != int(maxTrace/tracePause) {
		t.Errorf("%d frames were joined, %d records", n, len(have))
	}

	// A place where records are missing, and a line that is cut, belong to none.
	w = tracingWriter(t, javaTraces)
	feed(w, at, head)
	must(t, w.Deliver(t.Context(), nil, func() error { w.Broke(); return nil }))
	feed(w, at+5, frame)
	checkSequence(t, "gap", []string{head, frame}, texts(w))

	// The first record of a log is remembered where no record is before it.
	w = tracingWriter(t, javaTraces)
	feed(w, at, head)
	first := position.MarkOf(&decode.Entry{Std: decode.Stdout, TS: at, Text: []byte(head), Newline: true})
	if p := w.Snapshot(); p.Kind != position.FromBeginning || p.Next != first {
		t.Errorf("a restart begins at %+v", p)
	}

	// A std stream that is not wanted holds nothing back.
	w = tracingWriter(t, javaTraces)
	w.wanted[decode.Stdout] = false
	feed(w, at, head)
	if w.based {
		t.Error("a std stream that is not wanted holds the position")
	}
}

// While it cannot be known that nothing follows, a trace waits: its log is
// blocked, or was not polled again.
func TestTraceWaitsForItsLog(t *testing.T) {
	w := newTestWriter(newTestShared(t))
	w.JoinTraces(javaTraces)
	w.open.timer.Stop()
	now := time.Now()
	longAgo := now.Add(-time.Hour)
	var course Course
	w.reading = func() Course { return course }
	open := func() {
		w.out.Lock()
		defer w.out.Unlock()
		w.Accept(&decode.Entry{Std: decode.Stdout, TS: 1e18, Text: []byte("x.YException: z"), Newline: true})
		w.traces[decode.Stdout].read, w.traces[decode.Stdout].began = now.Add(-tracePause), now.Add(-tracePause)
		w.open.timer.Stop()
	}
	for _, test := range []struct {
		what    string
		set     func()
		emitted bool
	}{
		{"it is read", func() { course = Course{Runs: true, Follows: true, Since: longAgo} }, true},
		{"it was just opened", func() { course.Since = now }, false},
		{"it does not run", func() { course.Since, course.Runs = longAgo, false }, false},
		{"it runs", func() { course.Runs = true }, true},
		{"it fails", func() { course.Follows = false }, false},
		{"it fails for long", func() { w.traces[decode.Stdout].began = now.Add(-maxTrace) }, true},
		{"it is polled", func() { course = Course{Runs: true, Polls: true, Polled: now.Add(-time.Second)} }, false},
		{"it is being polled", func() { course.Polled = time.Time{} }, false},
		{"it was polled again", func() { course.Polled = now }, true},
		{"the machine was busy", func() { w.open.armed = now.Add(-tracePause) }, false},
		{"it is not any more", func() { w.traces[decode.Stdout].read, w.open.armed = now.Add(-tracePause), now }, true},
		{"nothing is taken", func() { w.out.Limit = 0 }, false},
		{"another stream has its place", func() { w.out.Limit, course.Replaced = 1<<20, true }, false},
	} {
		if !w.isTracing(decode.Stdout) {
			open()
		}
		test.set()
		w.Shared.endIdle()
		w.open.timer.Stop()
		if have := takeAll(t, w); len(have) > 0 != test.emitted {
			t.Errorf("%s: emitted: %v", test.what, have)
		}
	}
	if w.based || w.watched {
		t.Error("the position is held")
	}
}
