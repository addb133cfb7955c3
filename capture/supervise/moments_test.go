package supervise

import (
	"testing"
	"time"
)

// Waits of about the same length end together, none later than it should and
// none much earlier.
func TestOnGrid(t *testing.T) {
	for _, d := range []time.Duration{time.Nanosecond, 100 * time.Millisecond, 15 * time.Second, time.Hour} {
		ends := map[time.Duration]bool{}
		for range 100 {
			before := SinceStart()
			wait := OnGrid(d)
			if wait > d || wait < d*9/10 {
				t.Fatalf("%v became %v", d, wait)
			}
			if grid := d * 98 / 100 / Moments; grid > 0 {
				ends[(before+wait+grid/2)/grid] = true
			}
		}
		if d >= time.Second && len(ends) > 2 {
			t.Errorf("waits of %v end at %d moments", d, len(ends))
		}
	}
}
