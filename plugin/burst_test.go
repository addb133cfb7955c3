package main

import (
	"testing"
	"time"
)

// The next burst is as large as what is taken in a second, and fits the ring.
func TestBurst(t *testing.T) {
	for _, c := range []struct {
		made int
		took time.Duration
		want int
	}{
		{4, time.Millisecond, 2 * firstBurst},
		{4, 4 * time.Second, 1},
		{40, 4 * time.Second, 10},
		{1, time.Minute, 1},
		{5000, 1100 * time.Millisecond, maxInRing}, // it was just never seen to be empty
	} {
		b, now := newBurst(), time.Unix(1e9, 0)
		for range c.made {
			b.add(now)
		}
		if now = now.Add(c.took); b.room(0, now) != (c.took <= busyTime) {
			t.Errorf("%d in %v: wrong about room", c.made, c.took)
		}
		b.emptied(now, false)
		if b.since.IsZero() {
			t.Errorf("%d in %v: over while a filter runs", c.made, c.took)
		}
		b.emptied(now.Add(time.Millisecond), true)
		if b.size != c.want || !b.room(0, now) || b.room(c.want, now) {
			t.Errorf("%d in %v: then %d, want %d", c.made, c.took, b.size, c.want)
		}
	}
}
