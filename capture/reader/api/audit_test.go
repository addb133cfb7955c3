package api

import (
	"fmt"
	"slices"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// What reads of a log that is rotated meanwhile have shown of it is put in order,
// without what is gone.
func TestShownOfALogThatGoesOn(t *testing.T) {
	marks := func(from, to int) (ms []position.TrailMark) {
		for i := from; i < to; i++ {
			ms = append(ms, position.TrailMark{TS: int64(i/3 + 1), Hash: uint64(i), Size: 5}) // three pieces of a line have one time
		}
		return ms
	}
	for _, c := range []struct {
		name                  string
		longer, shorter, want []position.TrailMark
	}{
		{"nothing before", marks(0, 5), nil, marks(0, 5)},
		{"further back", marks(0, 5), marks(20, 25), append(marks(0, 5), marks(20, 25)...)},
		{"one in the other", marks(0, 12), marks(8, 20), marks(0, 20)},
		{"rotated in between", marks(4, 12), append(marks(0, 8), marks(30, 33)...), append(marks(4, 8), marks(30, 33)...)},
		{"rotated beyond what was shown", marks(12, 15), append(marks(0, 8), marks(30, 33)...), append(marks(12, 15), marks(30, 33)...)},
		{"beyond all", marks(60, 65), append(marks(0, 8), marks(30, 33)...), marks(60, 65)},
	} {
		if have := before(slices.Clone(c.longer), slices.Clone(c.shorter)); !slices.Equal(have, c.want) {
			t.Errorf("%s: %s, not %s", c.name, hashes(have), hashes(c.want))
		}
	}
	if have := stillHeld(append(marks(0, 8), marks(30, 33)...), marks(21, 22)[0]); !slices.Equal(have, marks(30, 33)) {
		t.Errorf("still held: %s", hashes(have))
	}
}

func hashes(ms []position.TrailMark) (s string) {
	for i := range ms {
		s += fmt.Sprint(ms[i].Hash, " ")
	}
	return s
}

// Where the confirmed place is among lines without a time, and the same came again
// since, what was delivered behind it tells which is meant.
func TestConfirmedAmongUndated(t *testing.T) {
	away := func() (es []*decode.Entry) {
		for i := range 64 {
			es = append(es, &decode.Entry{TS: decode.Undated, Std: decode.Stdout, Text: fmt.Appendf(nil, "while paused %d", i/2), Newline: true})
		}
		return es
	}
	round := func(n int) []*decode.Entry {
		return append([]*decode.Entry{
			{TS: 1e18, Std: decode.Stdout, Text: fmt.Appendf(nil, "before %d", n), Newline: true},
			{TS: decode.Undated, Std: decode.Stdout, Text: []byte("odd"), Newline: true},
		}, away()...)
	}
	var all []*decode.Entry
	for n := range 3 {
		all = append(all, round(n)...)
	}
	per := len(round(0))
	for _, limit := range []int{position.FirstTail + 7, 2 * per, position.Everything} {
		var a position.Anchor
		for _, e := range all[:2*per] { // confirmed: two rounds; delivered: the next one's first two records
			a.Push(position.MarkOf(e))
		}
		var trail position.Trail
		trail.Start(&position.Position{Kind: position.FromAnchor, Anchor: a})
		for _, e := range all[2*per : 2*per+2] {
			m := position.MarkOf(e)
			trail.Push(&m)
		}
		target := position.Position{Kind: position.FromAnchor, Anchor: trail.Confirmed()}
		judge, log := newAudit(&target, &trail, limit, false), all
		if limit < len(all) {
			log = all[len(all)-limit:]
		}
		var fresh []string
		for _, e := range log {
			switch v := judge.judge(e); v {
			case newInTurn:
				fresh = append(fresh, string(e.Text))
			case skipRecord:
			default:
				t.Errorf("tail %d: verdict %d on %q", limit, v, e.Text)
			}
		}
		var want []string
		for _, e := range away() {
			want = append(want, string(e.Text))
		}
		if !slices.Equal(fresh, want) {
			t.Errorf("tail %d: new are %q", limit, fresh)
		}
	}
}
