package capture

import (
	"fmt"
	"strings"

	"github.com/gobwas/glob"
)

const selectorKeys = "name (the default), id, image, compose_project, compose_service, label.KEY"

// excludeLabel is the label by which a container opts out.
const excludeLabel = "fluentbit.io/exclude"

const (
	labelComposeProject = "com.docker.compose.project"
	labelComposeService = "com.docker.compose.service"
)

// selector is one key=glob of Include or Exclude.
type selector struct {
	key  string // a selector key; "label." + name for labels
	glob *glob.Pattern
}

type selectors []selector

// match says whether any selector matches the container.
func (ss selectors) match(c *container) bool {
	for _, s := range ss {
		if v, ok := s.value(c); ok && s.glob.Match(v) {
			return true
		}
	}
	return false
}

func (s selector) value(c *container) (string, bool) {
	switch s.key {
	case "name":
		return c.Name, true
	case "id":
		return c.ID, true
	case "image":
		return c.Image, true
	case "compose_project":
		v, ok := c.Labels[labelComposeProject]
		return v, ok
	case "compose_service":
		v, ok := c.Labels[labelComposeService]
		return v, ok
	}
	v, ok := c.Labels[strings.TrimPrefix(s.key, labelPrefix)]
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
		case lower == "name", lower == "id", lower == "image", lower == "compose_project", lower == "compose_service":
			key = lower
		case strings.HasPrefix(lower, labelPrefix) && len(key) > len(labelPrefix):
			key = labelPrefix + key[len(labelPrefix):]
		default:
			return fmt.Errorf("unknown key %q", key)
		}
		g, err := compileGlob(strings.TrimSpace(pattern))
		if err != nil {
			return err
		}
		*dst = append(*dst, selector{key, g})
	}
	return nil
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

func parseLabels(dst *globs, v string) error {
	if strings.EqualFold(v, "off") {
		return nil
	}
	for _, item := range splitList(v) {
		g, err := compileGlob(item)
		if err != nil {
			return err
		}
		*dst = append(*dst, g)
	}
	return nil
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

func splitList(v string) []string {
	var items []string
	for _, item := range strings.Split(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// wanted says whether the container's log is to be captured.
func (c *Config) wanted(ctr *container, self string) bool {
	if c.ExcludeSelf && self != "" && ctr.ID == self {
		return false
	}
	if strings.EqualFold(ctr.Labels[excludeLabel], "true") {
		return false
	}
	if len(c.Include) > 0 && !c.Include.match(ctr) {
		return false
	}
	return !c.Exclude.match(ctr)
}
