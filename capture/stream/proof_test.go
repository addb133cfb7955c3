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
		ctr := &container.Container{Running: c.running, LastRun: container.LastRun{StartedAt: 10, FinishedAt: 20}}
		p := proof{open: true}
		if c.died != 0 {
			p.hear(false, c.died, ctr, c.byFile)
		}
		p.hear(true, c.start, ctr, c.byFile)
		if p.open != c.open {
			t.Errorf("%s: the log was open: %v", c.what, p.open)
		}
	}
}
