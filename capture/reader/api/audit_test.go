package api

import (
	"fmt"
	"slices"
	"testing"

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
