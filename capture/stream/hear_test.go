package stream

import (
	"testing"

	"fluent-bit-docker-logs/capture/container"
)

// Only a run that nothing was read of has yet to show that its log was open.
func TestRunThatIsHeardOf(t *testing.T) {
	for _, c := range []struct {
		what    string
		running bool
		byFile  bool
		died    int64
		start   int64
		open    bool
	}{
		{"the run that was read, told late", false, false, 20, 11, true},
		{"another run", false, false, 20, 21, false},
		{"another run of a log that is read from its file to its end", false, true, 20, 21, false},
		{"the run that is read", true, false, 0, 11, true},
		{"another run, of one that is followed", true, false, 20, 21, false},
		{"the run that is read, behind one that had ended", true, false, 9, 11, true},
		{"another run, whose file is read on", true, true, 20, 21, true},
	} {
		s := benchStream(t)
		s.ctr = &container.Container{Running: c.running, LastRun: container.LastRun{StartedAt: 10, FinishedAt: 20}}
		s.proven((*proof).opened)
		if c.died != 0 {
			s.hear(false, c.died, c.byFile)
		}
		s.hear(true, c.start, c.byFile)
		if s.proof.open != c.open {
			t.Errorf("%s: the log was open: %v", c.what, s.proof.open)
		}
	}
}
