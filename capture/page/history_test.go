package page

import (
	"maps"
	"slices"
	"testing"
	"time"
	"unsafe"
)

// TestHistory: a rate for each sample, by the time that has passed; what is gone is forgotten.
func TestHistory(t *testing.T) {
	var h History
	sample := func(after time.Duration, lines map[string]uint64) {
		h.Sample(at.Add(after), maps.All(lines))
	}
	want := func(id string, rates ...float32) {
		t.Helper()
		if got := h.Rates(id); !slices.Equal(got, rates) {
			t.Errorf("%q: %v, want %v", id, got, rates)
		}
	}
	want("a")
	sample(0, map[string]uint64{"a": 1000}) // when these came is not known
	want("a")
	sample(5*time.Second, map[string]uint64{"a": 1010, "b": 50}) // b began in between
	want("a", 2)
	want("b", 10)
	sample(5*time.Second, map[string]uint64{"a": 9999}) // no time has passed
	want("a", 2)
	sample(15*time.Second, map[string]uint64{"a": 1010})
	want("a", 2, 0)
	want("b")
	sample(20*time.Second, map[string]uint64{"a": 10}) // counted anew
	want("a", 2, 0, 0)
	for i := range 2 * points {
		sample(25*time.Second+time.Duration(i)*time.Second, map[string]uint64{"a": 10 + uint64((i+1)*(i+1))})
	}
	got := h.Rates("a")
	if len(got) != points || got[points-1] != 4*points-1 || got[0] != 2*points+1 {
		t.Errorf("%v", got)
	}
}

// TestHistoryIsSmall: of each container a few dozen numbers are kept, of many that came and went none.
func TestHistoryIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(history{}); n > 300 {
		t.Errorf("%d bytes for a container", n)
	}
	var h History
	for i := range 1000 {
		h.Sample(at.Add(time.Duration(i)*Every), maps.All(map[string]uint64{string(rune('a' + i)): uint64(i)}))
	}
	if len(h.rings) != 1 {
		t.Errorf("%d are kept", len(h.rings))
	}
}
