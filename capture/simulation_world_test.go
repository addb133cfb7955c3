package capture

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// what is left.
const settleAfter = 20 * time.Minute

// world is one simulation while it runs: an Engine, an agent, what was written
// and what came.
type world struct {
	t     *testing.T
	p     *plan
	e     *dockertest.Engine
	dir   string
	log   *logBuffer
	clock atomic.Int64 // nanoseconds that the Engine's is ahead

	all []*written

	agent  *simAgent
	kills  int
	counts map[string]int // lines that were said to be lost, by container
	gaps   float64        // of agents that have ended
	undo   []func()
}

func (w *world) run() error {
	// The Engine's clock runs with the bubble's, which begins in the year 2000 and
	// stands still while something is done: a nanosecond tells one time from the next.
	var ticks atomic.Int64
	w.e = dockertest.New(dockertest.InMemory(), dockertest.WithAPIVersion(w.p.API, ""),
		dockertest.WithClock(func() time.Time { return time.Now().Add(time.Duration(w.clock.Load() + ticks.Add(1))) }))
	must(w.t, w.e.Serve())
	defer w.e.Close()
	w.e.SetLiveRestore(w.p.Live)
	w.start()
	for i, c := range w.p.Containers {
		spec := dockertest.Container{Name: "c" + strconv.Itoa(i), TTY: c.TTY, Driver: c.Driver, MaxSize: c.MaxSize, MaxFile: c.MaxFile, Compress: c.Compress}
		if c.Driver == "" && w.p.Reader == readerAuto {
			spec.LogDir = w.dir
		}
		x := &written{spec: c, c: w.e.Run(spec)}
		if c.MaxSize > 0 {
			x.lossy = lossCounted
			if spec.LogDir != "" {
				// Files that are removed between two looks are told by the kernel's clock,
				// which knows nothing of virtual time.
				x.lossy = lossSilent
			}
		}
		w.all = append(w.all, x)
	}
	for _, s := range w.p.Steps {
		time.Sleep(time.Duration(s.After) * time.Millisecond)
		w.do(s)
	}
	w.heal()
	time.Sleep(settleAfter)
	var problems []error
	if h := w.agent.col.Health(); !h.Ready {
		problems = append(problems, fmt.Errorf("not ready in the end: %v", h.Problems))
	}
	for _, x := range w.all {
		x.c.Stop() // what is unterminated comes now
	}
	time.Sleep(settleAfter)
	w.stop(true)
	for _, x := range w.all {
		problems = append(problems, w.check(x))
	}
	if strings.Contains(w.log.String(), "panic") {
		problems = append(problems, errors.New("a panic was caught"))
	}
	err := errors.Join(problems...)
	if err != nil {
		err = fmt.Errorf("%w\nthe log's end:\n%s", err, tail(w.log.String(), 12_000))
	}
	return err
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// heal ends all faults.
func (w *world) heal() {
	for _, f := range w.undo {
		f()
	}
	w.undo = nil
	w.e.Throttle(0)
	w.e.Silence(0)
	w.e.CutAfter(0, 0)
	w.e.CutFollowers() // the silent ones
	must(w.t, w.e.Up())
	w.agent.pause(false)
}
