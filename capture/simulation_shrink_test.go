package capture

import (
	"testing"
	"time"
)

// shrink leaves out of a plan whatever is not needed for it to fail.
func shrink(t *testing.T, p *plan, reason error) (*plan, error) {
	deadline := time.Now().Add(20 * time.Second)
	for size, again := len(p.Steps)/2, true; size >= 1 || again; size /= 2 {
		if size == 0 {
			size, again = 1, false
		}

		for i := 0; i+size <= len(p.Steps) && time.Now().Before(deadline); {
			try := *p
			try.Steps = append(append([]step(nil), p.Steps[:i]...), p.Steps[i+size:]...)
			if err := simulate(t, &try); err != nil {
				p, reason, again = &try, err, size > 1
				continue
			}
			i += size
		}
	}
	return p, reason
}
