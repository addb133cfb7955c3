package capture

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "the first `seed` of the simulations; 0 draws one")
	simSeeds = flag.Int("sim.seeds", 0, "how `many` plans are simulated; 0 as many as fit in sim.time")
	simTime  = flag.Duration("sim.time", 0, "how `long` new plans are simulated")
	simBy    = flag.String("sim.reader", "", "the `reader` of all new plans, instead of what is drawn")
	simPlan  = flag.String("sim.plan", "", "a `file` with a plan to simulate, instead of seeds")
)

// TestSimulation runs plans in virtual time: first those that once found
// something, then new ones. A plan that finds something is said with its seed.
func TestSimulation(t *testing.T) {
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
			if err := simulate(t, p); err != nil {
				t.Errorf("%v\n%s", err, p.words())
			}
		})
	}
	if *simPlan != "" {
		return
	}
	if *simSeeds == 0 && *simTime == 0 { // a few that are always the same
		*simSeed, *simSeeds = 500, 5
	}
	seed, began, hours, n := *simSeed, time.Now(), 0.0, 0
	if seed == 0 {
		seed = uint64(began.UnixNano())
	}
	for ; n < *simSeeds || (*simSeeds == 0 && time.Since(began) < *simTime); n++ {
		p := drawPlan(seed + uint64(n))
		if *simBy != "" {
			p.Reader = *simBy
		}
		hours += p.hours()
		if err := simulate(t, p); err != nil {
			p, err = shrink(t, p, err)
			file := filepath.Join(os.TempDir(), fmt.Sprintf("plan-%d.json", seed+uint64(n)))
			text, _ := json.MarshalIndent(p, "", " ")
			_ = os.WriteFile(file, text, 0o600)
			t.Errorf("seed %d: %v\nthe shrunk plan is in %s:\n%s", seed+uint64(n), err, file, p.words())
		}
	}
	t.Logf("%d plans from seed %d, %.0f hours of operation in %s", n, seed, hours, time.Since(began).Round(time.Millisecond))
}

// simulate runs a plan in a bubble of virtual time and says what was wrong.
func simulate(t *testing.T, p *plan) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	dir, mkErr := os.MkdirTemp("/dev/shm", "simulation") //nolint:usetesting // in memory: of disks it says nothing
	must(t, mkErr)
	defer func() { _ = os.RemoveAll(dir) }()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, p: p, dir: dir, log: &logBuffer{}, counts: map[string]int{}}
		err = w.run()
	})
	return err
}
