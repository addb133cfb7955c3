package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestCompare gives the oracle one fault at a time: an oracle that sees nothing would pass every other test.
func TestCompare(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	lines := func(numbers ...int) []Line {
		var out []Line
		for _, n := range numbers {
			out = append(out, Line{Container: "c", Std: "stdout", Text: fmt.Sprint("line ", n), Time: at.Add(time.Duration(n))})
		}
		return out
	}
	same := func(n int) []Line {
		var out []Line
		for range n {
			out = append(out, Line{Container: "c", Std: "stdout", Text: "same", Time: at})
		}
		return out
	}
	late := lines(1, 2, 3)
	late[1].Time = late[1].Time.Add(1)

	for _, c := range []struct {
		name                                           string
		want, got                                      []Line
		missing, doubled, foreign, misplaced, mistimed int
	}{
		{name: "equal", want: lines(1, 2, 3), got: lines(1, 2, 3)},
		{name: "missing", want: lines(1, 2, 3), got: lines(1, 3), missing: 1},
		{name: "all missing", want: lines(1, 2, 3), missing: 3},
		{name: "doubled", want: lines(1, 2, 3), got: lines(1, 2, 2, 3), doubled: 1},
		{name: "replayed", want: lines(1, 2, 3), got: lines(1, 2, 3, 1, 2, 3), doubled: 3},
		{name: "out of order", want: lines(1, 2, 3), got: lines(2, 1, 3), misplaced: 1},
		{name: "never written", want: lines(1), got: lines(1, 9), foreign: 1},
		{name: "identical lines", want: same(5), got: same(5)},
		{name: "identical, one missing", want: same(5), got: same(4), missing: 1},
		{name: "identical, one doubled", want: same(5), got: same(6), doubled: 1},
		{name: "one nanosecond late", want: lines(1, 2, 3), got: late, mistimed: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Compare(c.want, c.got)
			if len(v) != 1 {
				t.Fatalf("got %d verdicts, want 1", len(v))
			}
			got := [...]int{v[0].Missing.Count, v[0].Doubled.Count, v[0].Foreign.Count, v[0].Misplaced.Count, v[0].Mistimed.Count}
			if want := [...]int{c.missing, c.doubled, c.foreign, c.misplaced, c.mistimed}; got != want {
				t.Errorf("got %v, want %v (missing, doubled, foreign, misplaced, mistimed)\n%s", got, want, v[0])
			}
			if v[0].OK() != (got == [5]int{}) {
				t.Errorf("OK is %v", v[0].OK())
			}
		})
	}
}

// TestCompareKeepsStreamsApart: the same text on another std or container is no match.
func TestCompareKeepsStreamsApart(t *testing.T) {
	v := Compare([]Line{{Container: "a", Std: "stdout", Text: "x"}}, []Line{{Container: "a", Std: "stderr", Text: "x"}})
	if len(v) != 2 || v[0].Foreign.Count != 1 || v[1].Missing.Count != 1 {
		t.Errorf("got %v", v)
	}
}
