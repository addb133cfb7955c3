package soak

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/docker/plot"
)

// Criterion is one thing that must hold.
type Criterion struct {
	Name  string
	Limit string // what is allowed
	Old   string // the same in the validation of log_capturer, the system that this one grew from, where it had it
	Got   string
	OK    bool
}

// Verdict judges each criterion.
func (r *Result) Verdict() []Criterion {
	all := []Criterion{r.ranItsTime()}
	if r.Baseline == nil || len(r.Checkpoints) == 0 {
		return all
	}
	last := r.Checkpoints[len(r.Checkpoints)-1]
	leak := func(name, old string, perConnection float64, of func(*Sample) float64) Criterion {
		g := last.growth(r.Baseline, of)
		allowed, limit := 0.0, "0"
		if r.Config.short() {
			allowed = perConnection * float64(len(readers))
			limit = fmt.Sprintf("%g, an idle connection of each input (short run)", allowed)
		}
		return Criterion{name, limit, old, fmt.Sprintf("%s (%s a minute): %g, then %g", signed(g.Total, ""), signed(g.PerMinute, ""), of(&r.Baseline.Sample), of(&last.Sample)), g.Total <= allowed}
	}
	none := func(name string, n float64) Criterion {
		return Criterion{Name: name, Limit: "0", Got: plot.Count(int(n)), OK: n == 0}
	}
	all = append(all,
		none("Timeouts: stalled streams and tasks", last.Stalls),
		leak("Growth of goroutines", "< 40 a minute", 2, func(s *Sample) float64 { return s.Goroutines }),
		leak("Growth of file descriptors", "< 100", 1, func(s *Sample) float64 { return s.FDs }),
		r.rotations(last),
		r.written(),
		none("Missing lines", float64(r.Final.Missing)),
		none("Doubled lines", float64(r.Final.Doubled)),
		none("Lines out of order, or of nobody", float64(r.Final.Late+r.Foreign)),
		none("Gaps, panics and restarts of tasks", last.Gaps+last.Panics+last.Restarts),
	)
	return append(all, r.alerts())
}

// idle is how long the plugin keeps a connection to the Engine that nobody uses: one descriptor and two goroutines.
const idle = 30 * time.Second

// short says that the time in which the least is looked for is too short to tell an idle connection from one that leaked.
func (c *Config) short() bool { return min(c.window(true), c.window(false)) <= idle }

// Passed says whether every criterion holds.
func (r *Result) Passed() bool {
	all := r.Verdict()
	return len(all) > 1 && !slices.ContainsFunc(all, func(c Criterion) bool { return !c.OK })
}

func (r *Result) ranItsTime() Criterion {
	c := Criterion{Name: "Ran its time and ended in order", Limit: "yes", Old: "died after 6 minutes", Got: "yes", OK: len(r.Trouble) == 0}
	if !c.OK {
		c.Got = strings.Join(r.Trouble, "; ")
	}
	return c
}

// tolerance is the part of the expected rotations that a container may differ by; in a short run, of rotations in quick
// succession, a busy machine may make each of them late.
func (c *Config) tolerance() float64 {
	if c.short() {
		return 0.3
	}
	return 0.02
}

// rotations judges those of each container between the baseline and the last checkpoint. How many fall into that time
// depends on when it begins, so one more or less is none too many.
func (r *Result) rotations(last *Checkpoint) Criterion {
	want := (last.At - r.Baseline.At).Seconds() / r.Config.Rotate.Seconds()
	tolerance := r.Config.tolerance()
	allowed := max(1, want*tolerance)
	by, least, most := last.since(r.Baseline)
	c := Criterion{
		Name:  "Rotations of each container",
		Limit: fmt.Sprintf("%.1f ± %.2g (%g %%, or 1)", want, allowed, 100*tolerance),
		Got:   fmt.Sprintf("%g to %g in %d containers", least, most, len(by)),
		OK:    len(by) == r.Config.Containers && math.Abs(least-want) <= allowed && math.Abs(most-want) <= allowed,
	}
	return c
}

// written makes sure that the containers had something to say, and were not held up.
func (r *Result) written() Criterion {
	want := int(0.9 * r.ran() * r.Config.Rate * float64(r.Config.Containers*len(stds)))
	return Criterion{Name: "Lines written", Limit: "at least " + plot.Count(want), Got: plot.Count(r.Written), OK: r.Written >= want && want > 0}
}

func (r *Result) alerts() Criterion {
	c := Criterion{Name: "Alerts", Limit: "none fires", Got: "none", OK: len(r.Alerts) == 0}
	switch {
	case r.Alerts == nil:
		c.Got = "not asked: there is no Prometheus here"
	case !c.OK:
		c.Got = strings.Join(slices.Sorted(maps.Keys(r.Alerts)), ", ")
	}
	return c
}
