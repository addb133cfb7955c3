package page

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tiles are the figures above the containers.
func (v *view) tiles(n tally) {
	rates, flow := v.rates(), tile{Title: "Lines a second"}
	flow.Spark, flow.Value, flow.Says = spark(rates)
	flow.Note = cmp.Or(flow.Says, "counted in a moment")
	v.Tiles = append(v.Tiles, flow, v.containers(n))

	lag := tile{Title: "Lag", Value: span(n.lag), Note: "of the slowest container"}
	switch {
	case !v.EngineUp:
		lag.Value, lag.Note, lag.Kind = "unknown", "while no Engine answers", "wait"
	case n.lag > muchLag:
		lag.Kind = "bad"
	case n.lag > muchLag/6:
		lag.Kind = "wait"
	}
	gaps := tile{Title: "Gaps", Value: count(v.sum(func(i *Instance) float64 { return i.Gaps })), Note: "nothing was lost"}
	switch {
	case gaps.Value != "0":
		gaps.Note, gaps.Kind = "lines were lost", "bad"
	case !v.EngineUp:
		gaps.Note = "none is known of"
	}
	full := 0.
	for i := range v.Instances {
		full = max(full, float64(v.Instances[i].Waiting)/float64(max(1, v.Instances[i].WaitingLimit)))
	}
	box := tile{
		Title: "For Fluent Bit", Value: size(v.sum(func(i *Instance) float64 { return float64(i.Waiting) })),
		Note: several(int(v.sum(func(i *Instance) float64 { return float64(i.OnTheWay) })), "record on the way", "records on the way"),
		Bar:  bar([]string{"used"}, []float64{min(1, full)}, 1),
	}
	if full >= 1 {
		box.Kind = "wait"
	}
	v.Tiles = append(v.Tiles, lag, gaps, box)
}

// containers counts them by what becomes of what they write.
func (v *view) containers(n tally) tile {
	t := tile{Title: "Containers", Value: fmt.Sprint(n.all)}
	var notes, readers []string
	note := func(n int, what string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n, what))
		}
	}
	note(n.notRead, "not read")
	note(n.opening, "being opened")
	for _, r := range slices.Sorted(maps.Keys(n.readers)) {
		readers = append(readers, fmt.Sprintf("%d %s", n.readers[r], r))
	}
	if n.read > 0 {
		notes = append(notes, fmt.Sprintf("%d read (%s)", n.read, strings.Join(readers, ", ")))
	}
	note(n.behind, "behind")
	note(n.stopped, "stopped")
	t.Note = cmp.Or(strings.Join(notes, ", "), "none is captured")
	if n.notRead > 0 {
		t.Kind = "wait"
		t.Title = fmt.Sprintf("Containers, %d not read", n.notRead)
	}
	t.Bar = bar([]string{"bad", "wait", "good", "off"}, []float64{float64(n.notRead), float64(n.opening + n.behind), float64(n.read - n.behind), float64(n.stopped)}, float64(max(1, n.all)))
	return t
}

// below are the figures under the containers, which are seldom looked for.
func (v *view) below() {
	stalls := int(v.sum(func(i *Instance) float64 { return i.Stalls }))
	v.More = append(v.More,
		tile{Title: "Lines in all", Value: count(v.sum(func(i *Instance) float64 { return i.Lines })), Note: size(v.sum(func(i *Instance) float64 { return i.Bytes }))},
		tile{Title: "Rotations", Value: count(v.sum(func(i *Instance) float64 { return i.Rotations })), Note: several(stalls, "stall", "stalls"), Kind: map[bool]string{true: "wait"}[stalls > 0]})
	if len(v.Instances) == 0 {
		return
	}
	in := &v.Instances[0] // what is the process's is each one's
	fds := tile{
		Title: "Descriptors", Value: fmt.Sprint(in.Open), Note: fmt.Sprintf("of %d", in.OpenLimit),
		Bar: bar([]string{"used"}, []float64{float64(in.Open)}, float64(max(1, in.OpenLimit))),
	}
	if in.Open > in.OpenWarn {
		fds.Kind = "wait"
	}
	v.More = append(v.More, fds, tile{Title: "Goroutines", Value: fmt.Sprint(in.Goroutines), Note: "of the process"})
}

// sum adds up the instances.
func (v *view) sum(of func(*Instance) float64) (n float64) {
	for i := range v.Instances {
		n += of(&v.Instances[i])
	}
	return n
}

// rates are those of all instances together; the newest ones are at the end of each.
func (v *view) rates() (all []float32) {
	for i := range v.Instances {
		all = slices.Concat(make([]float32, max(0, len(v.Instances[i].Rates)-len(all))), all)
		at := len(all) - len(v.Instances[i].Rates)
		for j, r := range v.Instances[i].Rates {
			all[at+j] += r
		}
	}
	return all
}

// bar is a bar of 100, of which each value takes its share of the whole.
func bar(kinds []string, values []float64, whole float64) (parts []part) {
	at := 0.
	for i, v := range values {
		if share := min(100-at, 100*v/whole); share > 0 {
			parts = append(parts, part{kinds[i], at, share})
			at += share
		}
	}
	return parts
}
