// Package e2e runs the built plugin against real containers. It goes through Fluent Bit where that is on the PATH,
// and through the project's own host.
//
// What a test asserts is always the same: of every (container, std) each line stands at the sink exactly once, in order
// and with the Engine's timestamp, compared with what `docker logs` gives, so that what the Engine itself lost or changed
// is not charged to the plugin. [Compare] is that oracle.
package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Line is one line of one container. It is as the Engine has it, or as it
// arrived.
type Line struct {
	Container string
	Std       string // stdout or stderr
	Text      string
	Time      time.Time // zero: not compared
}

// Key names one sequence of lines.
type Key struct{ Container, Std string }

// String implements fmt.Stringer.
func (k Key) String() string { return k.Container + "/" + k.Std }

// Fault counts the lines that were wrong in one way. It keeps the first of them.
type Fault struct {
	Count    int
	Examples []string
}

// maxExamples is how many lines a Fault keeps.
const maxExamples = 3

func (f *Fault) add(format string, args ...any) {
	f.Count++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// Verdict is what was wrong with one sequence.
type Verdict struct {
	Key
	Want, Got                                      int
	Missing, Doubled, Foreign, Misplaced, Mistimed Fault
}

// OK says whether every line stood once, in order, with its time.
func (v Verdict) OK() bool {
	return v.Missing.Count+v.Doubled.Count+v.Foreign.Count+v.Misplaced.Count+v.Mistimed.Count == 0
}

// String implements fmt.Stringer.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d lines wanted, %d got", v.Key, v.Want, v.Got)
	for _, f := range []struct {
		name string
		Fault
	}{
		{"missing", v.Missing},
		{"doubled", v.Doubled},
		{"never written", v.Foreign},
		{"out of order", v.Misplaced},
		{"with another time", v.Mistimed},
	} {
		if f.Count > 0 {
			fmt.Fprintf(&b, "\n  %d %s: %s", f.Count, f.name, strings.Join(f.Examples, " | "))
		}
	}
	return b.String()
}

// Compare judges got against want. There is one Verdict for each (container, std) that occurs in either, sorted by
// key. Equal lines of a sequence are matched in order, so that a run of identical lines is counted and not merged.
func Compare(want, got []Line) []Verdict {
	wants, gots := split(want), split(got)
	var keys []Key
	for k := range wants {
		keys = append(keys, k)
	}
	for k := range gots {
		if wants[k] == nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.String(), b.String()) })
	verdicts := make([]Verdict, len(keys))
	for i, k := range keys {
		verdicts[i] = compare(k, wants[k], gots[k])
	}
	return verdicts
}

func split(lines []Line) map[Key][]Line {
	m := map[Key][]Line{}
	for _, l := range lines {
		k := Key{l.Container, l.Std}
		m[k] = append(m[k], l)
	}
	return m
}

func compare(k Key, want, got []Line) Verdict {
	v := Verdict{Key: k, Want: len(want), Got: len(got)}
	places := map[string][]int{} // text -> its places in want that were not seen yet
	known := map[string]bool{}
	for i, l := range want {
		places[l.Text] = append(places[l.Text], i)
		known[l.Text] = true
	}
	last := -1
	for i, l := range got {
		open := places[l.Text]
		switch {
		case len(open) == 0 && known[l.Text]:
			v.Doubled.add("#%d %s", i, brief(l.Text))
		case len(open) == 0:
			v.Foreign.add("#%d %s", i, brief(l.Text))
		default:
			place := open[0]
			places[l.Text] = open[1:]
			if place < last {
				v.Misplaced.add("#%d, wanted before #%d: %s", place, last, brief(l.Text))
			}
			last = max(last, place)
			if w := want[place]; !w.Time.IsZero() && !l.Time.IsZero() && !w.Time.Equal(l.Time) {
				v.Mistimed.add("%s instead of %s: %s", l.Time.UTC().Format(time.RFC3339Nano), w.Time.UTC().Format(time.RFC3339Nano), brief(l.Text))
			}
		}
	}
	var missing []int
	for _, open := range places {
		missing = append(missing, open...)
	}
	slices.Sort(missing)
	for _, i := range missing {
		v.Missing.add("#%d %s", i, brief(want[i].Text))
	}
	return v
}

// brief quotes the head of a text.
func brief(text string) string {
	if len(text) > 60 {
		return fmt.Sprintf("%.60q... (%d bytes)", text, len(text))
	}
	return fmt.Sprintf("%q", text)
}
