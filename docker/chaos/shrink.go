package chaos

import (
	"regexp"
	"strings"
)

// shorten leaves steps out of a plan that finds something, as long as it does so without them, and at last containers
// that nothing happens to. finds runs a plan, and returns what it has found; at most tries plans are run. What has to be
// found is of the same kind: a fault of another kind is another find.
func shorten(p *Plan, found []string, tries int, finds func(*Plan) []string) *Plan {
	kinds := map[string]bool{}
	for _, f := range found {
		kinds[kindOf(f)] = true
	}
	still := func(try *Plan) bool {
		if tries--; tries < 0 {
			return false
		}
		for _, f := range finds(try) {
			if kinds[kindOf(f)] {
				p = try
				return true
			}
		}
		return false
	}
	for size := (len(p.Steps) + 1) / 2; size > 0; size /= 2 {
		for i := 0; i < len(p.Steps); {
			if !still(p.without(i, size)) {
				i += size
			}
		}
	}
	for n := len(p.Containers) - 1; n > 0 && !p.touches(n); n-- {
		try := *p
		try.Containers = p.Containers[:n]
		if !still(&try) {
			break
		}
	}
	return p
}

// without is the plan without n of its steps, which leave their time to the next one.
func (p *Plan) without(from, n int) *Plan {
	try := *p
	try.Steps = append([]Step(nil), p.Steps[:from]...)
	after := int64(0)
	for i, s := range p.Steps[from:] {
		if after += s.After; i >= n {
			s.After, after = after, 0
			try.Steps = append(try.Steps, s)
		}
	}
	return &try
}

// touches says whether something happens to the container, or to one behind it.
func (p *Plan) touches(container int) bool {
	for _, s := range p.Steps {
		if s.On >= container {
			return true
		}
	}
	return false
}

var numbers = regexp.MustCompile(`[0-9]+([.,:][0-9]+)*`)

// kindOf is what a find has in common with others of its kind: its first words, without numbers.
func kindOf(find string) string {
	words, _, _ := strings.Cut(numbers.ReplaceAllString(find, "N"), ":")
	return words
}
