package container

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gobwas/glob"
)

// SelectorKeys are in words what a selector may look at.
var SelectorKeys = "name (the default), id, image, " + ShortNameList("", "") + ", label.KEY"

// labelPrefix is before a label's name where other keys may stand too.
const labelPrefix = "label."

// selector is one key=glob of Include or Exclude.
type selector struct {
	key  string // a selector key; "label." + name for labels
	glob *glob.Pattern
	text string // as the option has it
}

// Selectors choose containers: those that any of them matches.
type Selectors []selector

// Match says whether any selector matches the container.
func (ss Selectors) Match(c *Container) bool {
	for _, s := range ss {
		if v, ok := s.value(c); ok && s.glob.Match(v) {
			return true
		}
	}
	return false
}

func (s selector) value(c *Container) (string, bool) {
	switch s.key {
	case "name":
		return c.Name, true
	case "id":
		return c.ID, true
	case "image":
		return c.Image, true
	}
	label := LabelOf(s.key)
	if label == "" {
		label = strings.TrimPrefix(s.key, labelPrefix)
	}
	v, ok := c.Labels[label]
	return v, ok
}

// ParseSelectors reads key=glob, or globs of names, separated by commas.
func ParseSelectors(dst *Selectors, v string) error {
	for _, item := range SplitList(v) {
		key, pattern, ok := strings.Cut(item, "=")
		if !ok {
			key, pattern = "name", item
		}
		key = strings.TrimSpace(key)
		switch lower := strings.ToLower(key); {
		case lower == "name", lower == "id", lower == "image", LabelOf(lower) != "":
			key = lower
		case strings.HasPrefix(lower, labelPrefix) && len(key) > len(labelPrefix):
			key = labelPrefix + key[len(labelPrefix):]
		default:
			return fmt.Errorf("unknown key %q", key)
		}
		pattern = strings.TrimSpace(pattern)
		if key == "id" {
			pattern = idGlob(pattern)
		}
		if err := possible(key, pattern); err != nil {
			return err
		}
		g, err := compileGlob(pattern)
		if err != nil {
			return err
		}
		*dst = append(*dst, selector{key, g, item})
	}
	return nil
}

var hexOnly = regexp.MustCompile(`^[0-9a-f]+$`)

// idGlob lets an id be shortened, as Docker's own commands do.
func idGlob(pattern string) string {
	if hexOnly.MatchString(pattern) && len(pattern) >= 12 && len(pattern) < 64 {
		return pattern + "*"
	}
	return pattern
}

// possible refuses what no container can have: it would match nothing, and who
// wrote it thinks that it does.
func possible(key, pattern string) error {
	if strings.HasPrefix(key, labelPrefix) {
		return nil // the value of a label may be anything
	}
	switch {
	case strings.ContainsAny(pattern, `"'`):
		return fmt.Errorf("%s has quotes: in this file they are part of the value, leave them out", pattern)
	case strings.ContainsAny(pattern, " \t;|"):
		return fmt.Errorf("%q: a comma separates the globs", pattern)
	case strings.HasPrefix(pattern, "^"), strings.HasSuffix(pattern, "$"):
		return fmt.Errorf("%s looks like a regular expression: it is a glob, of the whole text", pattern)
	case strings.Contains(pattern, "[^"):
		return fmt.Errorf("%s: characters that are not meant begin with !, as in [!a-c]", pattern)
	case key != "image" && strings.HasPrefix(pattern, "/"):
		return fmt.Errorf("%s: names are without a slash here", pattern)
	case key == "id" && hexOnly.MatchString(pattern) && len(pattern) != 64:
		return fmt.Errorf("%s: an id has 64 hex digits, of which 12 or more are enough", pattern)
	}
	return nil
}

// Unmatched are the selectors that match none of the containers, as written.
func (ss Selectors) Unmatched(all []*Container) (texts []string) {
	for _, s := range ss {
		one := Selectors{s}
		if !slices.ContainsFunc(all, one.Match) {
			texts = append(texts, s.text)
		}
	}
	return texts
}

type globs []*glob.Pattern

func (gs globs) match(s string) bool {
	for _, g := range gs {
		if g.Match(s) {
			return true
		}
	}
	return false
}

func compileGlob(pattern string) (*glob.Pattern, error) {
	if pattern == "" {
		return nil, fmt.Errorf("empty glob")
	}
	g, err := glob.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("bad glob %q: %w", pattern, err)
	}
	return g, nil
}

// SplitList splits at commas, outside the braces and brackets of globs.
func SplitList(v string) (items []string) {
	depth := 0
	for _, item := range strings.FieldsFunc(v, func(r rune) bool {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth = max(0, depth-1)
		}
		return r == ',' && depth == 0
	}) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// ByImage says whether one of them looks at images.
func (ss Selectors) ByImage() bool {
	return slices.ContainsFunc(ss, func(s selector) bool { return s.key == "image" })
}
