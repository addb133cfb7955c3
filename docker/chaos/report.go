package chaos

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Report is what all plans have shown.
type Report struct {
	Seed    uint64
	Agent   string
	Began   time.Time
	Took    time.Duration
	Results []*Result
}

// Finds is the number of plans that have found something.
func (r *Report) Finds() (n int) {
	for _, x := range r.Results {
		if len(x.Finds) > 0 {
			n++
		}
	}
	return n
}

// String tells the result in a line, and each find in another.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s seed %d: %v, %d lines, %d missing", r.Engine, r.Plan.Seed, r.Took.Round(time.Second), r.Lines, r.Missing)
	for _, rule := range slices.Sorted(maps.Keys(r.Excused)) {
		fmt.Fprintf(&b, " (%d: %s)", r.Excused[rule], rule)
	}
	if r.Doubled > 0 {
		fmt.Fprintf(&b, ", %d doubled", r.Doubled)
	}
	if r.Twice > 0 {
		fmt.Fprintf(&b, ", %d chunks sent twice by Fluent Bit", r.Twice)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, ", %d lost by the Engine", r.Lost)
	}
	for _, f := range r.Finds {
		fmt.Fprintf(&b, "\n  FIND %s", f)
	}
	if len(r.Finds) > 0 {
		fmt.Fprintf(&b, "\n  again: make chaos SEED=%d PLANS=1 ENGINE=%s, or PLAN=%s/short.json", r.Plan.Seed, r.version, r.Dir)
	}
	return b.String()
}

// shortest is the shortest plan that has found what this one has.
func (r *Result) shortest() *Plan {
	if r.Short != nil {
		return r.Short
	}
	return r.Plan
}

// Markdown is the report.
func (r *Report) Markdown() string {
	var b strings.Builder
	b.WriteString(r.Tables())
	for _, x := range r.Results {
		if len(x.Finds) > 0 {
			fmt.Fprintf(&b, "\n## Seed %d on %s\n\n", x.Plan.Seed, x.Engine)
			for _, f := range x.Finds {
				fmt.Fprintf(&b, "* `%s`\n", strings.ReplaceAll(f, "`", "'"))
			}
			fmt.Fprintf(&b, "\n```\n%s```\n\nIts files are in `%s`.\n", x.shortest().Words(), x.Dir)
		}
	}
	return b.String()
}

// Tables are the report without its finds.
func (r *Report) Tables() string {
	var b strings.Builder
	verdict := "nothing was found"
	if n := r.Finds(); n > 0 {
		verdict = fmt.Sprintf("**%d plans found something**", n)
	}
	fmt.Fprintf(&b, "# Chaos: %s\n\n%s, seed %d, %s, %v.\n\n", verdict, r.Began.UTC().Format(time.RFC1123), r.Seed, r.Agent, r.Took.Round(time.Second))
	type row struct {
		plans, lines, came, missing, doubled, lost, finds int
		took                                              time.Duration
	}
	rows, did, excused := map[string]*row{}, map[string]int{}, map[string]int{}
	for _, x := range r.Results {
		k := fmt.Sprintf("%s | %s", x.Engine, x.Plan.Reader)
		if rows[k] == nil {
			rows[k] = &row{}
		}
		y := rows[k]
		y.plans++
		y.lines += x.Lines
		y.came += x.Came
		y.missing += x.Missing
		y.doubled += x.Doubled
		y.lost += x.Lost
		y.finds += len(x.Finds)
		y.took += x.Took
		for kind, n := range x.Did {
			did[kind] += n
		}
		for rule, n := range x.Excused {
			excused[rule] += n
		}
	}
	b.WriteString("| Engine | reader | plans | minutes | lines that it stored | records that came | missing | doubled after kills | not stored by the Engine | finds |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		y := rows[k]
		fmt.Fprintf(&b, "| %s | %d | %.1f | %d | %d | %d | %d | %d | %d |\n", k, y.plans, y.took.Minutes(), y.lines, y.came, y.missing, y.doubled, y.lost, y.finds)
	}
	b.WriteString("\n| steps, by kind | how often |\n|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(did)) {
		fmt.Fprintf(&b, "| %s | %d |\n", k, did[k])
	}
	if len(excused) > 0 {
		b.WriteString("\n| lines that may be missing, by the rule | how many |\n|---|---|\n")
		for _, k := range slices.Sorted(maps.Keys(excused)) {
			fmt.Fprintf(&b, "| %s | %d |\n", k, excused[k])
		}
	}
	return b.String()
}

func (r *Report) write(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "report.md"), []byte(r.Markdown()), 0o644)
}
