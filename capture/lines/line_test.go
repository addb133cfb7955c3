package lines

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// A restart at any moment, while lines of both std streams overlap, brings each
// line once. It begins no further back than the oldest line that is incomplete.
func TestOverlappingLongLines(t *testing.T) {
	const records = 3000
	rnd := rand.New(rand.NewPCG(1, 2))
	var log []decode.Entry
	var lineOf []int // by record: the index of its line's first one
	index := map[position.Mark]int{}
	var want [3][]string
	text, first := [3]string{}, [3]int{-1, -1, -1}
	for i := range records {
		std := uint8(decode.Stdout + rnd.IntN(2))
		if first[std] < 0 {
			first[std] = i
		}
		piece := fmt.Sprint(i, " ")
		e := decode.Entry{Std: std, TS: 1e18 + int64(first[std]), Newline: rnd.IntN(3) == 0}
		if !e.Newline {
			piece += strings.Repeat("x", decode.ChunkSize-len(piece))
		}
		e.Text = []byte(piece)
		log, lineOf, index[position.MarkOf(&e)] = append(log, e), append(lineOf, first[std]), i
		text[std] += piece
		if e.Newline {
			want[std] = append(want[std], text[std])
			text[std], first[std] = "", -1
		}
	}

	w := newTestWriter(newTestShared(t))
	w.maxLine = 100 * decode.ChunkSize
	var have [3][]string
	take := func() { // what Fluent Bit takes is safe
		for _, r := range takeAll(t, w) {
			have[r.std] = append(have[r.std], r.text)
		}
	}
	open := [3]int{-1, -1, -1}
	for at, restarts := 0, 0; at < records; {
		e := &log[at]
		w.Accept(e)
		open[e.Std] = lineOf[at]
		if e.Newline {
			open[e.Std] = -1
		}
		at++
		if rnd.IntN(4) == 0 {
			take()
		}
		if restarts == 300 || rnd.IntN(10) != 0 {
			continue
		}
		restarts++
		take()
		caughtUp := w.skip == [3]uint32{}
		p := w.Committed
		if !w.Waits() {
			p = w.Snapshot()
		}
		kept := checkpoint.PositionOf(&p)
		p, err := kept.Restore()
		must(t, err)
		w.goOn(p)
		from := 0
		if p.Anchor.N > 0 {
			from = index[p.Anchor.Newest()] + 1
		}
		for _, o := range open {
			if o >= 0 {
				at = min(at, o)
			}
		}
		if caughtUp && from != at {
			t.Fatalf("it begins again at record %d and not at %d, where the oldest incomplete line begins", from, at)
		}
		at, open = from, [3]int{-1, -1, -1}
	}
	take()
	for _, std := range []int{decode.Stdout, decode.Stderr} {
		checkSequence(t, fmt.Sprint("std ", std), want[std], have[std])
	}
}

// What is incomplete at a place where records are missing is flagged, and
// nothing else.
func TestFragmentsAreFlagged(t *testing.T) {
	piece := func(ts int64) *decode.Entry {
		return &decode.Entry{Std: decode.Stdout, TS: ts, Text: bytes.Repeat([]byte("p"), decode.ChunkSize), Place: decode.Place{Inode: 1}}
	}
	end := func(ts int64, text string) *decode.Entry {
		return &decode.Entry{Std: decode.Stdout, TS: ts, Text: []byte(text), Newline: true, Place: decode.Place{Inode: 1}}
	}
	var missing *decode.Entry
	for name, test := range map[string]struct {
		log  []*decode.Entry
		want []bool // flagged
	}{
		"nothing is missing":            {[]*decode.Entry{piece(1), end(1, "x"), end(2, "short")}, []bool{false, false}},
		"a run ends in a line":          {[]*decode.Entry{piece(1), end(2, "short")}, []bool{false, false}},
		"the end":                       {[]*decode.Entry{piece(1), missing, end(2, "short"), end(3, "short")}, []bool{true, true, false}},
		"the middle":                    {[]*decode.Entry{piece(1), missing, end(1, "x"), end(2, "short")}, []bool{true, false}},
		"before a line":                 {[]*decode.Entry{end(1, "short"), missing, piece(2), end(2, "x")}, []bool{false, false}},
		"where long lines were written": {[]*decode.Entry{piece(1), end(1, "x"), missing, end(2, "rest"), end(3, "short")}, []bool{false, true, false}},
		"and short ones since":          {[]*decode.Entry{piece(1), end(1, "x"), end(2, "short"), missing, piece(3), end(3, "rest"), end(4, "short")}, []bool{false, false, true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestWriter(newTestShared(t))
			must(t, w.Deliver(t.Context(), nil, func() error {
				for _, e := range test.log {
					if e == missing {
						w.Broke()
						continue
					}
					w.Accept(e)
				}
				return nil
			}))
			var have []bool
			for _, r := range takeAll(t, w) {
				have = append(have, r.truncated)
			}
			if !slices.Equal(have, test.want) {
				t.Errorf("flagged: %v, not %v", have, test.want)
			}
		})
	}
}

// A restart before anything was acknowledged knows with what the log began: where
// that is gone, it is a gap, at once if the log holds nothing.
func TestBeginningIsRemembered(t *testing.T) {
	entry := func(ts int64) *decode.Entry {
		return &decode.Entry{Std: decode.Stdout, TS: ts, Text: []byte("line"), Newline: true}
	}
	w := newTestWriter(newTestShared(t))
	must(t, w.Deliver(t.Context(), nil, func() error { w.Accept(entry(1)); w.Accept(entry(2)); return nil }))
	p := w.Committed
	if first := position.MarkOf(entry(1)); p.Kind != position.FromBeginning || p.Next != first {
		t.Fatalf("a restart begins at %+v", p)
	}
	for _, c := range []struct {
		what  string
		holds []int64
		gaps  int
	}{{"all", []int64{1, 2, 3}, 0}, {"what came later", []int64{2, 3}, 1}, {"nothing", nil, 1}} {
		shared := newTestShared(t)
		w := newTestWriter(shared)
		w.SetUp(shared, w.Source, w.log, w.reading, p)
		must(t, w.Deliver(t.Context(), nil, func() error {
			for _, ts := range c.holds {
				w.Accept(entry(ts))
			}
			return nil
		}))
		w.WasEmpty(t.Context()) // which it says of what was read to its end, too
		if have := int(testutil.ToFloat64(shared.metrics.Gaps)); have != c.gaps {
			t.Errorf("of a log that holds %s: %d gaps, not %d", c.what, have, c.gaps)
		}
	}
}
