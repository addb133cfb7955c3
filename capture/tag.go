package capture

import (
	"fmt"
	"regexp"
	"strings"

	"fluent-bit-docker-logs/capture/container"
)

var tagPlaceholders = "<container_name>, <container_id>, <image>, <host>, " + shortNameList("<", ">")

var tagPlaceholder = regexp.MustCompile(`<[^<>]*>`)

func parseTagTemplate(dst *string, v string) error {
	for _, p := range tagPlaceholder.FindAllString(v, -1) {
		if !strings.Contains(tagPlaceholders, p) {
			return fmt.Errorf("unknown placeholder %s", p)
		}
	}
	if v != "" && !tagPlaceholder.MatchString(v) {
		return fmt.Errorf("without a placeholder it is one tag for all, which is the input's own option Tag")
	}
	*dst = v
	return nil
}

// expandTag is the tag of a container: the template with its placeholders
// replaced. What a container lacks becomes "none", and what would be a
// wildcard or a blank in a Fluent Bit tag becomes "_", so that no container
// can choose where another's records are routed by a crafted name.
func expandTag(template string, c *container.Container, host string) string {
	if template == "" {
		return ""
	}
	return tagPlaceholder.ReplaceAllStringFunc(template, func(p string) string {
		var v string
		switch p {
		case "<container_name>":
			v = c.Name
		case "<container_id>":
			v = c.ID
		case "<image>":
			v = c.Image
		case "<host>":
			v = host
		default:
			v = c.Labels[labelOf(strings.Trim(p, "<>"))]
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
