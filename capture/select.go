package capture

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/gobwas/glob"

	"fluent-bit-docker-logs/capture/container"
)

var selectorKeys = "name (the default), id, image, " + shortNameList("", "") + ", label.KEY"

// labelPrefix is before a label's name where other keys may stand too.
const labelPrefix = "label."

// selector is one key=glob of Include or Exclude.
type selector struct {
	key  string // a selector key; "label." + name for labels
	glob *glob.Pattern
	text string // as the option has it
}

type selectors []selector

// match says whether any selector matches the container.
func (ss selectors) match(c *container.Container) bool {
	for _, s := range ss {
		if v, ok := s.value(c); ok && s.glob.Match(v) {
			return true
		}
	}
	return false
}

func (s selector) value(c *container.Container) (string, bool) {
	switch s.key {
	case "name":
		return c.Name, true
	case "id":
		return c.ID, true
	case "image":
		return c.Image, true
	}
	label := labelOf(s.key)
	if label == "" {
		label = strings.TrimPrefix(s.key, labelPrefix)
	}
	v, ok := c.Labels[label]
	return v, ok
}

func parseSelectors(dst *selectors, v string) error {
	for _, item := range splitList(v) {
		key, pattern, ok := strings.Cut(item, "=")
		if !ok {
			key, pattern = "name", item
		}
		key = strings.TrimSpace(key)
		switch lower := strings.ToLower(key); {
		case lower == "name", lower == "id", lower == "image", labelOf(lower) != "":
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

// unmatched are the selectors that match none of the containers, as written.
func (ss selectors) unmatched(all []*container.Container) (texts []string) {
	for _, s := range ss {
		one := selectors{s}
		if !slices.ContainsFunc(all, one.match) {
			texts = append(texts, s.text)
		}
	}
	return texts
}

// sayUnmatched says which selectors match none of the containers that there are
// at the start: they may be meant for others, or be misspelt.
func (c *Collector) sayUnmatched(all []*container.Container) {
	if len(all) == 0 {
		return
	}
	if labels := &c.cfg.Labels; !labels.none() && !slices.ContainsFunc(all, labels.matchAny) {
		c.log.Info("option Labels: no container that exists has a label of such a name", "containers", len(all))
	}
	for option, ss := range map[string]selectors{"Include": c.cfg.Include, "Exclude": c.cfg.Exclude} {
		texts := ss.unmatched(all)
		level, text := slog.LevelInfo, "no container that exists matches these globs of an option"
		switch {
		case len(texts) == 0:
			continue
		case option == "Include" && len(texts) == len(ss):
			level, text = slog.LevelWarn, "option Include: no container that exists matches, nothing is captured"
		}
		c.log.Log(context.Background(), level, text, "option", option, "globs", strings.Join(texts, ","), "containers", len(all))
	}
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

// splitList splits at commas, but not at those between the braces or brackets of
// a glob.
func splitList(v string) (items []string) {
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

// byImage says whether a selector looks at images.
func (c *Config) byImage() bool {
	image := func(s selector) bool { return s.key == "image" }
	return slices.ContainsFunc(c.Include, image) || slices.ContainsFunc(c.Exclude, image)
}

// wanted says whether the container's log is to be captured.
func (c *Config) wanted(ctr *container.Container, self string) bool {
	if c.ExcludeSelf && self != "" && ctr.ID == self {
		return false
	}
	if optsOut(ctr) {
		return false
	}
	if len(c.Include) > 0 && !c.Include.match(ctr) {
		return false
	}
	return !c.Exclude.match(ctr)
}
