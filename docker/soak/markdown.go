package soak

import (
	"fmt"
	"strings"
)

// notes explain the figures, in both forms of the report.
func (r *Result) notes() []string {
	return []string{
		fmt.Sprintf("Goroutines, file descriptors and threads of a checkpoint are the least of the samples (about one a second) within %v before it: a rotation under way holds some for an instant, a leak never lets go.", r.Config.window()),
		fmt.Sprintf("The baseline is taken after the warm-up of %v, in which each stream is rotated at least once.", r.Config.warmUp()),
		"Expected rotations: time since the baseline divided by Rotate_Interval. Where a period begins and ends moves the number by up to one, so that much is allowed where 2 % is less.",
		"Missing and doubled: every line is numbered; the numbers that arrived are compared with those in the Engine's log once the containers have ended.",
	}
}

// Notes are the explanations of the figures.
func (v *view) Notes() []string { return v.notes() }

// Setup says in a sentence what ran.
func (v *view) Setup() string {
	c := v.Config
	return fmt.Sprintf("%s on %s: %d containers, half of them read by following the API and half from their files; each writes %g lines a second, one in %d of them longer than 16 KiB; Rotate_Interval %v; %v.",
		v.Agent, v.Engine, c.Containers, 2*c.Rate, longEvery, c.Rotate, c.Duration)
}

func (v *view) markdown() string {
	var b strings.Builder
	verdict := "passed"
	if !v.OK {
		verdict = "**FAILED**"
	}
	fmt.Fprintf(&b, "# Soak: %s\n\n%s %s\n\n", verdict, v.When+".", v.Setup())
	b.WriteString("## Verdict\n\n| criterion | limit | log_capturer | measured | |\n|---|---|---|---|---|\n")
	for _, c := range v.Criteria {
		mark := "ok"
		if !c.OK {
			mark = "**FAILED**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.Name, c.Limit, c.Old, strings.ReplaceAll(c.Got, "|", `\|`), mark)
	}
	b.WriteString("\n## Checkpoints\n\n")
	rows(&b, v.Head, v.Rows)
	b.WriteString("\n## Containers\n\n")
	rows(&b, v.StreamHead(), v.Streams)
	b.WriteString("\n## How it was measured\n\n")
	for _, n := range v.notes() {
		fmt.Fprintf(&b, "* %s\n", n)
	}
	if v.AgentSaid != "" {
		fmt.Fprintf(&b, "\n## The last words of %s\n\n```\n%s\n```\n", v.Agent, v.AgentSaid)
	}
	return b.String()
}

// StreamHead is the head of the table of containers.
func (v *view) StreamHead() []string {
	return []string{"container", "reader", "rotations since the baseline", "lines", "missing", "doubled", "out of order"}
}

func rows(b *strings.Builder, head []string, rows []viewRow) {
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, r := range rows {
		for _, c := range r.Cells {
			b.WriteString("| " + c.Text + " ")
			if c.Below != "" {
				b.WriteString("(" + c.Below + ") ")
			}
		}
		b.WriteString("|\n")
	}
}
