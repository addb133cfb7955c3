package record

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// The forms in which labels and attrs stand in a record (Label_Keys).
const (
	KeysFlat   = "flat"   // label_team
	KeysMap    = "map"    // labels: {team: ...}
	KeysDotted = "dotted" // label.team, which Fluent Bit's record accessor cannot name
)

// field is one key of a record and its value, which is text or, where there are
// any, a map of further fields.
type field struct {
	key, value string
	sub        []field
}

// SameKey is two names that have one key. The value in the record is that of the
// first.
type SameKey struct{ Key, First, Second string }

// fieldsOf returns what stands in the record for names and values of a kind,
// "label" or "attr", and which of the names give way to others of the same key.
// Of these the one that is the key as it is comes first, then the one that is
// first in the order of bytes.
func fieldsOf(form, kind string, values map[string]string) (fields []field, met []SameKey) {
	if len(values) == 0 {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(values))
	switch form {
	case KeysMap:
		sub := make([]field, 0, len(names))
		for _, name := range names {
			sub = append(sub, field{key: name, value: values[name]})
		}
		return []field{{key: kind + "s", sub: sub}}, nil
	case KeysDotted:
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
			met = append(met, SameKey{key, first, name})
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
