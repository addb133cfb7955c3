package capture_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeed   = flag.Uint64("sim.seed", 0, "the first `seed` of the simulations; 0 draws one")
	simSeeds  = flag.Int("sim.seeds", 0, "how `many` plans are simulated; 0 as many as fit in sim.time")
	simTime   = flag.Duration("sim.time", 0, "how `long` new plans are simulated")
	simBy     = flag.String("sim.reader", "", "the `reader` of all new plans, instead of what is drawn")
	simNot    = flag.String("sim.without", "", "a `step` that no new plan has")
	simPlan   = flag.String("sim.plan", "", "a `file` with a plan to simulate, instead of seeds")
	simFirst  = flag.Bool("sim.first", false, "end with the first plan that finds something, as it is")
	simReport = flag.String("sim.report", "", "a `file` that a report is written to, as Markdown")
)

// TestSimulation runs plans in virtual time: first those that once found
// something, then new ones. A plan that finds something is said with its seed.
func TestSimulation(t *testing.T) {
	stats := newStats()
	kept, err := filepath.Glob("testdata/chaos/*.json")
	must(t, err)
	if *simPlan != "" {
		kept = []string{*simPlan}
	}
	for _, file := range kept {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			p := &plan{}
			must(t, json.Unmarshal(text, p))
			if err := simulate(t, p, stats); err != nil {
				t.Errorf("%v\n%s", err, p.words())
			}
		})
	}
	if *simPlan != "" {
		return
	}
	r := &simRun{t: t, seed: *simSeed, began: time.Now(), stats: newStats()}
	r.said = r.began
	if r.seed == 0 {
		r.seed = uint64(r.began.UnixNano())
	}
	seeds := *simSeeds
	if *simTime == 0 && seeds == 0 { // a few that are always the same
		r.seed, seeds = 500, 5
	}
	for n := 0; n < seeds || (seeds == 0 && time.Since(r.began) < *simTime); n++ {
		r.plan(r.seed + uint64(n))
		r.progress()
		if *simFirst && len(r.finds) > 0 {
			break
		}
	}
	t.Log(r.summary())
	if *simReport != "" {
		must(t, os.WriteFile(*simReport, []byte(r.markdown()), 0o644))
	}
}

// simLimit is how long a plan may take.
const simLimit = 2 * time.Minute

// simulate runs a plan in a bubble of virtual time and says what was wrong.
func simulate(t *testing.T, p *plan, stats *simStats) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	dir, mkErr := os.MkdirTemp("/dev/shm", "simulation") //nolint:usetesting // in memory: of disks it says nothing
	must(t, mkErr)
	defer func() { _ = os.RemoveAll(dir) }()
	endless := time.AfterFunc(simLimit, func() { panic(fmt.Sprintf("a plan of seed %d has no end:\n%s", p.Seed, p.words())) })
	defer endless.Stop()
	before := openFiles(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, p: p, dir: dir, log: &logBuffer{}, stats: stats}
		err = w.run()
	})
	if n := openFiles(t) - before; n > 0 {
		err = errors.Join(err, fmt.Errorf("%d more file descriptors are open than before", n))
	}
	stats.plans++
	return err
}

func openFiles(t *testing.T) int {
	all, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(all)
}
