package api

import (
	"fmt"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// A record that is newer than all that came stands behind a hole where what came was not
// shown yet, and one that is newer than all of its own std stream does not.
func TestHoleBeforeWhatCame(t *testing.T) {
	entry := func(std uint8, ts int64) *decode.Entry {
		return &decode.Entry{TS: ts, Std: std, Text: fmt.Append(nil, "line ", ts)}
	}
	for _, c := range []struct {
		what string
		next *decode.Entry
		want verdict
	}{
		{"left out of the other std stream", entry(decode.Stderr, 12), newLate},
		{"left out of the same", entry(decode.Stdout, 12), newLate},
		{"behind a hole", entry(decode.Stderr, 21), behindHole},
		{"behind a hole, of the same", entry(decode.Stdout, 21), behindHole},
	} {
		trail := &position.Trail{}
		trail.Start(&position.Position{})
		for _, e := range []*decode.Entry{entry(decode.Stderr, 1), entry(decode.Stdout, 10), entry(decode.Stdout, 20)} {
			m := position.MarkOf(e)
			trail.Push(&m)
		}
		a := newAudit(&position.Position{}, trail, position.Everything, false)
		a.holes = true
		a.judge(entry(decode.Stderr, 1))
		a.judge(entry(decode.Stdout, 10))
		if have := a.judge(c.next); have != c.want {
			t.Errorf("%s: %d, not %d", c.what, have, c.want)
		}
	}
}

// A tail that begins within what was delivered is not long enough where a longer one can
// be read: what lies before it may have been left out.
func TestTailThatBeginsLate(t *testing.T) {
	entry := func(ts int64) *decode.Entry {
		return &decode.Entry{TS: ts, Std: decode.Stdout, Text: fmt.Append(nil, "line ", ts)}
	}
	sound := func(ts int64) position.TrailMark { m := position.MarkOf(entry(ts)); return m.Single() }
	for _, c := range []struct {
		what    string
		limit   int
		longest bool
		sound   position.TrailMark
		want    bool
	}{
		{"as long as was asked for", 2, false, position.TrailMark{}, true},
		{"the whole log", 3, false, position.TrailMark{}, false},
		{"all that can be read of a damaged log", 2, true, sound(20), false},
		{"a damaged log that has grown", 2, true, sound(15), true},
		{"a damaged log that was looked at often enough", 2, true, position.TrailMark{}, false},
	} {
		trail := &position.Trail{}
		trail.Start(&position.Position{})
		for _, ts := range []int64{1, 10, 20, 30} {
			m := position.MarkOf(entry(ts))
			trail.Push(&m)
		}
		trail.Verified = 1
		a := newAudit(&position.Position{Kind: position.FromAnchor, Anchor: trail.Confirmed()}, trail, c.limit, false)
		a.Longest, a.sound = c.longest, c.sound
		a.judge(entry(20))
		a.judge(entry(30))
		if have := a.beginsLate(2); have != c.want {
			t.Errorf("%s: %v", c.what, have)
		}
	}
}

// The last record of a log that was asked for is missing in a read that begins before it,
// and not in one that begins behind it: it was rotated away since.
func TestLastRecordThatIsRotatedAway(t *testing.T) {
	entry := func(ts int64) *decode.Entry {
		return &decode.Entry{TS: ts, Std: decode.Stdout, Text: fmt.Append(nil, "line ", ts)}
	}
	for _, c := range []struct {
		shown []int64
		want  bool
	}{{[]int64{3, 4}, false}, {[]int64{3, 5}, true}, {[]int64{5}, true}, {[]int64{6, 7}, true}} {
		a := newAudit(&position.Position{}, &position.Trail{}, position.Everything, false)
		last := position.MarkOf(entry(5))
		a.last = []position.TrailMark{last.Single()}
		for _, ts := range c.shown {
			a.judge(entry(ts))
		}
		if have := a.complete(); have != c.want {
			t.Errorf("%v is all that the log holds: %v", c.shown, have)
		}
	}
}

// A log that somebody has open is shown with old files in the place of newer ones: what
// a read has shown already is not taken for new, nor, where the clock was set, what is
// new for old.
func TestHeldLogGoesBack(t *testing.T) {
	entry := func(ts int64) *decode.Entry {
		return &decode.Entry{TS: ts, Std: decode.Stdout, Text: fmt.Append(nil, "line ", ts)}
	}
	step := position.MarkOf(entry(11))
	for _, c := range []struct {
		what  string
		how   func(*audit)
		times []int64
		want  []verdict
	}{
		{"held", func(*audit) {}, []int64{10, 11, 12, 10}, []verdict{newInTurn, newInTurn, newInTurn, goesBack}},
		{"nobody has it open", func(a *audit) { a.oneLog = true }, []int64{10, 12, 11}, []verdict{newInTurn, newInTurn, newInTurn}},
		{"not compressed", func(a *audit) { a.held = false }, []int64{10, 12, 11}, []verdict{newInTurn, newInTurn, newInTurn}},
		{"the clock was set there", func(a *audit) { a.step = step.Single() }, []int64{10, 14, 11, 12, 13, 12}, []verdict{newInTurn, newInTurn, newInTurn, newInTurn, newInTurn, goesBack}},
		{"held still", func(a *audit) { a.byTime, a.newest = true, [3]int64{decode.Stdout: 10} },
			[]int64{9, 10, 11, 12, 12, 11, 12, 13}, []verdict{skipRecord, skipRecord, newInTurn, newInTurn, newInTurn, skipRecord, skipRecord, newInTurn}},
	} {
		a := newAudit(&position.Position{}, &position.Trail{}, position.Everything, false)
		a.held = true
		c.how(a)
		for i, ts := range c.times {
			if have := a.judge(entry(ts)); have != c.want[i] {
				t.Errorf("%s: record %d of time %d is judged %d, not %d", c.what, i, ts, have, c.want[i])
			}
		}
	}
}
