package stream

import (
	"testing"
	"time"
)

// A stream that delivers nothing is rotated every tenth time, one that does each time; where that would be more than five
// minutes, sooner.
func TestSilenceLeavesOut(t *testing.T) {
	for interval, want := range map[time.Duration]int{time.Second: 9, 30 * time.Second: 9, time.Minute: 4, 2 * time.Minute: 1, 5 * time.Minute: 0, time.Hour: 0} {
		var q silence
		for range 3 {
			n := 0
			for q.leavesOut(0, interval) {
				n++
			}
			if n != want {
				t.Errorf("%v: %d in a row, not %d", interval, n, want)
			}
		}
		if q.leavesOut(1, interval) {
			t.Errorf("%v: it was not silent", interval)
		}
	}
}
