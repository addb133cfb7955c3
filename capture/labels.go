package capture

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fluent-bit-docker-logs/capture/container"
)

// shortNames are the labels that people group containers by, with the name by
// which Include, Exclude, Labels, Tag_Template and a record call each.
var shortNames = []struct{ key, label string }{
	{"compose_project", labelComposeProject},
	{"compose_service", labelComposeService},
	{"compose_number", "com.docker.compose.container-number"},
	{"swarm_stack", "com.docker.stack.namespace"},
	{"swarm_service", "com.docker.swarm.service.name"},
	{"swarm_task", "com.docker.swarm.task.name"},
	{"swarm_node", "com.docker.swarm.node.id"},
}

const (
	labelComposeProject = "com.docker.compose.project"
	labelComposeService = "com.docker.compose.service"
)

// alwaysShort is how many of shortNames every record has, those that exist.
const alwaysShort = 2

// labelOf is the label that a short name stands for, "" if it is none.
func labelOf(key string) string {
	for _, s := range shortNames {
		if s.key == key {
			return s.label
		}
	}
	return ""
}

// shortNameList is all short names in words, each between two texts.
func shortNameList(before, after string) string {
	var names []string
	for _, s := range shortNames {
		names = append(names, before+s.key+after)
	}
	return strings.Join(names, ", ")
}

// labelChoice is which labels of a container become record keys.
type labelChoice struct {
	globs globs
	short []string // keys of shortNames
}

func (l *labelChoice) none() bool { return len(l.globs)+len(l.short) == 0 }

// matchAny says whether the container has such a label.
func (l *labelChoice) matchAny(c *container.Container) bool {
	for name := range c.Labels {
		if l.globs.match(name) {
			return true
		}
	}
	return slices.ContainsFunc(l.short, func(key string) bool {
		_, ok := c.Labels[labelOf(key)]
		return ok
	})
}

func parseLabels(dst *labelChoice, v string) error {
	if strings.EqualFold(v, "off") {
		return nil
	}
	for _, item := range splitList(v) {
		switch lower := strings.ToLower(item); {
		case labelOf(lower) != "":
			dst.short = append(dst.short, lower)
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

// The forms in which labels and attrs stand in a record (Label_Keys).
const (
	keysFlat   = "flat"   // label_team
	keysMap    = "map"    // labels: {team: ...}
	keysDotted = "dotted" // label.team, which Fluent Bit's record accessor cannot name
)

// field is one key of a record and its value, which is text or, where there are
// any, a map of further fields.
type field struct {
	key, value string
	sub        []field
}

// sameKey is two names that have one key in the record: the value is that of the
// first.
type sameKey struct{ key, first, second string }

// fieldsOf returns what stands in the record for names and values of a kind,
// "label" or "attr", and which of the names give way to others of the same key.
// Of these the one that is the key as it is comes first, then the one that is
// first in the order of bytes.
func fieldsOf(form, kind string, values map[string]string) (fields []field, met []sameKey) {
	if len(values) == 0 {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(values))
	switch form {
	case keysMap:
		sub := make([]field, 0, len(names))
		for _, name := range names {
			sub = append(sub, field{key: name, value: values[name]})
		}
		return []field{{key: kind + "s", sub: sub}}, nil
	case keysDotted:
		for _, name := range names {
			fields = append(fields, field{key: kind + "." + name, value: values[name]})
		}
		return fields, nil
	}
	slices.SortStableFunc(names, func(a, b string) int {
		key := accessible(a)
		switch order := cmp.Compare(key, accessible(b)); {
		case order == 0 && a == key:
			return -1
		case order == 0 && b == key:
			return 1
		default:
			return order
		}
	})
	first := ""
	for _, name := range names {
		key := kind + "_" + accessible(name)
		if len(fields) > 0 && fields[len(fields)-1].key == key {
			met = append(met, sameKey{key, first, name})
			continue
		}
		first = name
		fields = append(fields, field{key: key, value: values[name]})
	}
	return fields, met
}

// accessible is the name with each character that Fluent Bit's record accessor,
// or a label of Loki, could not hold replaced.
func accessible(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
}

// chosen are the container's labels that match, by name.
func (l *labelChoice) chosen(c *container.Container) map[string]string {
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

// sayMet says once which labels have one key.
func (s *stream) sayMet(met []sameKey) {
	for _, m := range met {
		if s.col.met.Add(m.key + " " + m.second) {
			s.log.Warn("two labels, or attrs, of a container have the same record key: it has the value of the first", "key", m.key, "first", m.first, "second", m.second)
		}
	}
}
