package stream

import (
	"testing"

	"fluent-bit-docker-logs/capture/container"
)

// A slot goes to a stream that is much busier than the quietest, and never from
// a container that takes its log with it when it stops.
func TestSlots(t *testing.T) {
	newOne := func(rm bool) *stream {
		s := benchStream(t)
		s.describe(&container.Container{ID: s.id, Name: "x", AutoRemove: rm})
		return s
	}
	a, b, c, rm := newOne(false), newOne(false), newOne(false), newOne(true)
	l := newSlots(3)
	for _, s := range []*stream{a, b, rm} {
		if !l.take(s, 1) {
			t.Fatal("no free slot")
		}
	}
	l.holds(a, 10)
	l.holds(rm, 0)
	if l.take(c, 1.5) {
		t.Error("a slot was taken from a stream that is almost as busy")
	}
	if !l.take(c, 3) || l.holds(b, 1) || !l.holds(a, 10) || !l.holds(rm, 0) {
		t.Error("the slot of the quietest was not taken")
	}
	l.give(a)
	if !l.take(b, 0) {
		t.Error("a slot that was given back is not free")
	}
}
