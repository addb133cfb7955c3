package container

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// LabelChoice is which labels of a container become record keys.
type LabelChoice struct {
	globs globs
	names []string // keys of shortNames
}

// None says that none is chosen.
func (l *LabelChoice) None() bool { return len(l.globs)+len(l.names) == 0 }

// MatchAny says whether the container has such a label.
func (l *LabelChoice) MatchAny(c *Container) bool {
	for name := range c.Labels {
		if l.globs.match(name) {
			return true
		}
	}
	return slices.ContainsFunc(l.names, func(key string) bool {
		_, ok := c.Labels[LabelOf(key)]
		return ok
	})
}

// Chosen are the container's labels that match, by name.
func (l *LabelChoice) Chosen(c *Container) map[string]string {
	if len(l.globs) == 0 {
		return nil
	}
	chosen := map[string]string{}
	for name, value := range c.Labels {
		if l.globs.match(name) {
			chosen[name] = value
		}
	}
	return chosen
}

// ParseLabels reads names of labels that are separated by commas. They are globs, or short names; off is none.
func ParseLabels(dst *LabelChoice, v string) error {
	if strings.EqualFold(v, "off") {
		return nil
	}
	for _, item := range SplitList(v) {
		switch lower := strings.ToLower(item); {
		case LabelOf(lower) != "":
			dst.names = append(dst.names, lower)
			continue
		case slices.Contains([]string{"on", "off", "true", "false", "yes", "no", "all", "none"}, lower):
			return fmt.Errorf("%s is no label's name; * is all of them", item)
		}
		if name, _, ok := strings.Cut(item, "="); ok {
			return fmt.Errorf("%s: only names of labels are asked for, as in Labels %s; Include is for values", item, name)
		}
		if err := possible("", item); err != nil {
			return err
		}
		g, err := compileGlob(item)
		if err != nil {
			return err
		}
		dst.globs = append(dst.globs, g)
	}
	return nil
}

// Short yields keys that stand for a container's labels, and the values. They are
// those that were chosen, and those that every record has.
func (l *LabelChoice) Short(c *Container) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for i, n := range shortNames {
			v, ok := c.Labels[n.label]
			if ok && (i < alwaysShort || slices.Contains(l.names, n.key)) && !yield(n.key, v) {
				return
			}
		}
	}
}
