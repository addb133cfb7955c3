package capture_test

import (
	"errors"
	"testing"
	"time"
)

// shrinkFor is how long a plan is made shorter.
const shrinkFor = 30 * time.Second

// shrink leaves out of a plan whatever is not needed for it to fail, and makes
// what is needed small.
func shrink(t *testing.T, p *plan, reason error) (*plan, error) {
	kind := kindOf(reason)
	deadline := time.Now().Add(shrinkFor)
	fails := func(try *plan) bool {
		if time.Now().After(deadline) {
			return false
		}
		err := simulate(t, try, newStats())
		same := err != nil && kindOf(err) == kind
		if same {
			p, reason = try, err
		}
		return same
	}
	for size, again := len(p.Steps)/2, true; size >= 1 || again; size /= 2 {
		if size == 0 {
			size, again = 1, false
		}
		for i := 0; i+size <= len(p.Steps); {
			try := *p
			try.Steps = append(append([]step(nil), p.Steps[:i]...), p.Steps[i+size:]...)
			if fails(&try) {
				again = size > 1
				continue
			}
			i += size
		}
	}
	for i := range p.Steps {
		for _, change := range []func(*step){
			func(s *step) { s.N = min(s.N, 1) }, func(s *step) { s.N /= 2 }, func(s *step) { s.Size = min(s.Size, 10) },
			func(s *step) { s.After = 0 }, func(s *step) { s.After -= s.After % 1000 }, func(s *step) { s.For -= s.For % 1000 },
		} {
			try := *p
			try.Steps = append([]step(nil), p.Steps...)
			if change(&try.Steps[i]); try.Steps[i] != p.Steps[i] {
				fails(&try)
			}
		}
	}
	return p, reason
}

// kindOf is what kind of problem the first one is.
func kindOf(err error) string {
	var p *simProblem
	if errors.As(err, &p) {
		return p.format
	}
	return ""
}
