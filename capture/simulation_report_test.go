package capture_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newStats() *simStats { return &simStats{faults: map[string]int{}} }

// simRun is a run of new plans.
type simRun struct {
	t     *testing.T
	seed  uint64
	began time.Time
	said  time.Time
	stats *simStats
	finds []simFind
}

// simFind is a plan that found something.
type simFind struct {
	seed uint64
	what string
	file string
}

// plan simulates the plan of a seed. One that finds something is made shorter
// and kept.
func (r *simRun) plan(seed uint64) {
	p := drawPlan(seed)
	if *simBy != "" {
		p.Reader = *simBy
	}
	err := simulate(r.t, p, r.stats)
	if err == nil {
		return
	}
	what, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Fprintf(os.Stderr, "seed %d found something: %s\n", seed, what)
	if !*simFirst {
		p, err = shrink(r.t, p, err)
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("plan-%d.json", seed))
	text, _ := json.MarshalIndent(p, "", " ")
	_ = os.WriteFile(file, text, 0o600)
	r.t.Errorf("seed %d: %v\nthe shrunk plan is in %s:\n%s", seed, err, file, p.words())
	what, _, _ = strings.Cut(err.Error(), "\n")
	r.finds = append(r.finds, simFind{seed, what, file})
}

// progress says once in a while how far it is.
func (r *simRun) progress() {
	if time.Since(r.said) > 30*time.Second {
		r.said = time.Now()
		fmt.Fprintln(os.Stderr, r.summary())
	}
}

func (r *simRun) summary() string {
	took := time.Since(r.began)
	return fmt.Sprintf("%d plans from seed %d, %.0f hours of operation in %s (%.0f an hour), %d lines, %d finds",
		r.stats.plans, r.seed, r.stats.hours, took.Round(time.Second), r.stats.hours/took.Hours(), r.stats.lines, len(r.finds))
}

// markdown is the report.
func (r *simRun) markdown() string {
	var b strings.Builder
	s := r.stats
	fmt.Fprintf(&b, "# Simulation\n\n%s.\n\n| | |\n|---|---|\n", r.summary())
	for _, row := range []struct {
		what string
		n    int
	}{
		{"plans", s.plans}, {"lines written", s.lines}, {"records that came", s.came}, {"lines that came joined to the one before", s.joined}, {"of these again, after the end of an agent", s.doubled},
		{"of these late", s.late}, {"lines lost, and counted or allowed for", s.lost}, {"refusals of Fluent Bit", s.refused},
	} {
		fmt.Fprintf(&b, "| %s | %d |\n", row.what, row.n)
	}
	fmt.Fprintf(&b, "\n## What happened\n\n| step | times |\n|---|---|\n")
	for _, do := range slices.Sorted(maps.Keys(s.faults)) {
		fmt.Fprintf(&b, "| %s | %d |\n", do, s.faults[do])
	}
	fmt.Fprintf(&b, "\n## Finds\n\n")
	if len(r.finds) == 0 {
		fmt.Fprintf(&b, "None.\n")
	}
	for _, f := range r.finds {
		fmt.Fprintf(&b, "* seed %d: %s (%s)\n", f.seed, f.what, f.file)
	}
	return b.String()
}
