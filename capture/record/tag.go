package record

import (
	"fmt"
	"regexp"
	"strings"

	"fluent-bit-docker-logs/capture/container"
)

// TagPlaceholders are in words what a template of a tag may hold.
var TagPlaceholders = "<container_name>, <container_id>, <image>, <host>, " + container.ShortNameList("<", ">")

var tagPlaceholder = regexp.MustCompile(`<[^<>]*>`)

// ParseTagTemplate reads a tag's template, and refuses what cannot be filled
// in.
func ParseTagTemplate(dst *string, v string) error {
	for _, p := range tagPlaceholder.FindAllString(v, -1) {
		if !strings.Contains(TagPlaceholders, p) {
			return fmt.Errorf("unknown placeholder %s", p)
		}
	}
	if v != "" && !tagPlaceholder.MatchString(v) {
		return fmt.Errorf("without a placeholder it is one tag for all, which is the input's own option Tag")
	}
	*dst = v
	return nil
}

// TagOf is the tag of a container. It is the template with its placeholders
// replaced. What a container lacks becomes "none", and what would be a wildcard
// or a blank in a Fluent Bit tag becomes "_", so that no container can choose
// where another's records are routed by a crafted name.
func (o *Options) TagOf(c *container.Container) string {
	if o.Tag == "" {
		return ""
	}
	return tagPlaceholder.ReplaceAllStringFunc(o.Tag, func(p string) string {
		var v string
		switch p {
		case "<container_name>":
			v = c.Name
		case "<container_id>":
			v = c.ID
		case "<image>":
			v = c.Image
		case "<host>":
			v = o.Host
		default:
			v = c.Labels[container.LabelOf(strings.Trim(p, "<>"))]
		}
		if v == "" {
			return "none"
		}
		return strings.Map(func(r rune) rune {
			if r <= ' ' || r == '*' || r == 0x7f {
				return '_'
			}
			return r
		}, v)
	})
}
