// Package chaos has real Engines and a real Fluent Bit fail. It runs plans drawn from a seed, with real faults, and
// compares what containers wrote with what came.
//
//	plan.go     what happens: drawn from a seed
//	world.go    one plan from its begin to its end; steps.go what can happen in it
//	writer.go   the containers, with journals of what they write (docker/loggen)
//	witness.go  all that the Engine ever had in their logs; journal.go those that are in journald
//	proxy.go    the way to the Engine; sink.go Fluent Bit's output; agent.go Fluent Bit
//	shrink.go   a plan that found something, made shorter
//	judge.go    the oracle: sequence.go compares lines, rules.go says which may be missing, health.go what /readyz said
//	report.go   the result
//
// The words for plan, step, find are those of the simulation in package capture.
package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// Config says what to run.
type Config struct {
	Seed     uint64        // of the first plan; 0 draws one
	Plans    int           // on each Engine; 0: as many as begin in Duration
	Duration time.Duration // for each Engine; they run beside each other
	Engines  []string      // versions that docker/engine.sh knows
	Reader   string        // of all plans; empty: what is drawn
	Plan     *Plan         // instead of what is drawn
	Shrink   int           // how many shorter plans are tried at most for each that has found something
	Out      string        // directory of the report and the finds
}

// Run runs plans and returns their results. The error says what could not be run; ErrNoEngine of enginetest is among them
// where no Engine can be had.
func Run(ctx context.Context, c Config, say func(format string, args ...any)) (*Report, error) {
	agent, err := FindAgent()
	if err != nil {
		return nil, err
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano() / 1000 % 1_000_000_000)
	}
	rep := &Report{Seed: c.Seed, Began: time.Now(), Agent: agent.Name}
	say("seed %d, %s", c.Seed, agent.Name)
	stop, none := enginetest.StartJournald(ctx)
	switch {
	case errors.Is(none, enginetest.ErrNoJournald):
		say("the driver local is taken for journald: %v", none)
	case none != nil:
		return nil, none
	default:
		defer stop()
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	errs := make([]error, len(c.Engines))
	for lane, v := range c.Engines {
		wg.Go(func() {
			e, err := enginetest.StartOwn(ctx, v, engineDisk)
			if err != nil {
				errs[lane] = err
				return
			}
			began := time.Now()
			for n := 0; ctx.Err() == nil && (n < c.Plans || c.Plans == 0 && time.Since(began) < c.Duration); n++ {
				// Lanes do not repeat each other's plans.
				p := c.Plan
				if p == nil {
					p = Draw(c.Seed+uint64(n*len(c.Engines)+lane), c.Reader)
				}
				if none != nil {
					p.lacks(driverJournald)
				}
				say("%s seed %d: %s, %d containers, %d steps", e.Version, p.Seed, p.Reader, len(p.Containers), len(p.Steps))
				r, err := run(ctx, p, e, agent)
				if err != nil {
					errs[lane] = errors.Join(errs[lane], fmt.Errorf("%s seed %d: %w", e.Version, p.Seed, err))
					say("%s seed %d: %v", e.Version, p.Seed, err)
					break
				}
				r.version = v
				if len(r.Finds) > 0 && c.Shrink > 0 {
					say("%s seed %d found something, shorter plans are tried", e.Version, p.Seed)
					r.Short = shorten(p, r.Finds, c.Shrink, func(try *Plan) []string { return again(ctx, try, e, agent) })
				}
				if err := r.save(c.Out); err != nil {
					errs[lane] = errors.Join(errs[lane], err)
				}
				mu.Lock()
				rep.Results = append(rep.Results, r)
				mu.Unlock()
				say("%s", r)
			}
			errs[lane] = errors.Join(errs[lane], e.Down())
		})
	}
	wg.Wait()
	rep.Took = time.Since(rep.Began)
	return rep, errors.Join(append(errs, rep.write(c.Out))...)
}

// engineDisk is the memory that an Engine has room in: a plan's logs, those of them that are rotated away, and the image.
const engineDisk = 1 << 30

// again runs a plan once more, and returns what it finds.
func again(ctx context.Context, p *Plan, e *enginetest.OwnEngine, with Agent) []string {
	if ctx.Err() != nil {
		return nil
	}
	r, err := run(ctx, p, e, with)
	if err != nil {
		return nil // whatever that was, it is no find
	}
	_ = os.RemoveAll(r.Dir)
	return r.Finds
}

// save keeps the plan of a find, and what is needed to understand it.
func (r *Result) save(out string) error {
	if len(r.Finds) == 0 {
		return nil
	}
	dir := filepath.Join(out, fmt.Sprintf("%s-%d", r.version, r.Plan.Seed))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r.Plan, "", " ")
	if err != nil {
		return err
	}
	short, err := json.MarshalIndent(r.shortest(), "", " ")
	if err != nil {
		return err
	}
	errs := []error{os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o600), os.WriteFile(filepath.Join(dir, "short.json"), short, 0o600),
		os.WriteFile(filepath.Join(dir, "find.txt"), []byte(strings.Join(r.Finds, "\n")+"\n\n"+r.Plan.Words()+"\n"+strings.Join(r.log, "\n")+"\n"), 0o600)}
	for _, name := range []string{"agent.log", "fluent-bit.conf", "lines.txt", "streams.txt", "metrics.txt"} {
		b, err := os.ReadFile(filepath.Join(r.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the host has no configuration
		}
		errs = append(errs, err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	errs = append(errs, os.RemoveAll(r.Dir))
	r.Dir = dir
	return errors.Join(errs...)
}
