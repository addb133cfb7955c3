package lines

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// Records come late while traces and long lines of both std streams are incomplete. A
// restart after that brings each record once, and finds its place.
func TestRestartsBehindLateRecords(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	var log []decode.Entry
	for n := 0; len(log) < 6000; n++ {
		std, text := uint8(decode.Stdout+rnd.IntN(2)), fmt.Sprintf("line %d", n)
		switch rnd.IntN(8) {
		case 0:
			text = fmt.Sprintf("java.lang.IllegalStateException: %d", n)
		case 1, 2, 3, 4, 5:
			text = fmt.Sprintf("\tat a.B.c(B.java:%d)", n)
		case 6:
			long := decode.Entry{Std: std, TS: int64(1e18) + int64(n), Text: []byte(strings.Repeat("x", decode.ChunkSize))}
			log = append(log, long)
			for range rnd.IntN(3) { // the other std stream goes on
				n++
				log = append(log, decode.Entry{Std: 3 - std, TS: int64(1e18) + int64(n), Text: fmt.Appendf(nil, "\tat a.B.c(B.java:%d)", n), Newline: true})
			}
			log = append(log, decode.Entry{Std: std, TS: long.TS, Text: fmt.Appendf(nil, "end %d", n), Newline: true})
			continue
		}
		log = append(log, decode.Entry{Std: std, TS: int64(1e18) + int64(n), Text: []byte(text), Newline: true})
	}
	came := map[string]int{}
	take := func(w *Writer) {
		rs, _ := takeSome(t, w, 1<<10)
		for _, r := range rs {
			for _, text := range strings.Split(strings.TrimLeft(r.text, "x"), "\n") {
				came[fmt.Sprint(r.std, text)]++
			}
		}
	}
	restart := func(p position.Position) (w *Writer, trail *position.Trail, next int) {
		w, trail = tracingWriter(t, javaTraces), &position.Trail{}
		w.goOn(p)
		trail.Start(&p)
		var fed position.Anchor
		for i := range log {
			if p.Anchor.N == 0 || next > 0 {
				break
			}
			fed.Push(position.MarkOf(&log[i]))
			if fed.Agree(&p.Anchor) == p.Anchor.N {
				next = i + 1
			}
		}
		if p.Anchor.N > 0 && next == 0 {
			t.Fatal("the place is not that of the log")
		}
		return w, trail, next
	}
	within, late, again := 0, 0, 0
	w, trail, next := restart(position.Position{})
	var sent int
	for ; next < len(log); next = sent {
		left, skipped := map[int]bool{}, [3]uint32{}
		for sent = next; sent < min(next+1+rnd.IntN(12), len(log)); sent++ {
			e := &log[sent]
			skip := w.skip[e.Std]
			if skip > 0 && skip == skipped[e.Std] {
				break // a new record would be taken for one that was left out
			}
			if trail.Unconfirmed() > 0 && rnd.IntN(3) == 0 && e.Newline && !strings.HasPrefix(string(e.Text), "end") {
				if left[sent] = true; skip > 0 {
					skipped[e.Std]++
					again++
				}
				continue
			}
			w.Accept(e)
			m := position.MarkOf(e)
			trail.Push(&m)
		}
		place := len(trail.Marks) - (sent - next - len(left))
		for i := next; i < sent; i++ { // the comparison
			if left[i] {
				m := position.MarkOf(&log[i])
				trail.Insert(place, &m)
				w.AcceptLate(&log[i], false, len(trail.Marks)-place-1)
				late++
			}
			place++
		}
		trail.Confirm()
		if len(left) > 0 {
			must(t, w.EndLate(t.Context(), trail))
		}
		take(w)
		if p := w.Snapshot(); rnd.IntN(3) == 0 && sent < len(log) {
			if p.Anchor != w.pos.Anchor {
				within++
			}
			w, trail, sent = restart(p)
		}
	}
	w.endTraces()
	take(w)
	for i := range log {
		if e := &log[i]; e.Newline && came[fmt.Sprint(e.Std, string(e.Text))] != 1 {
			t.Errorf("record %d of std %d came %d times: %.40q", i, e.Std, came[fmt.Sprint(e.Std, string(e.Text))], e.Text)
		}
	}
	if late < 500 || within < 200 || again < 50 {
		t.Errorf("only %d records were late, %d of them again, and %d restarts within something incomplete", late, again, within)
	}
}
