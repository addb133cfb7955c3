package capture

import (
	"fmt"
	"strings"

	"fluent-bit-docker-logs/capture/container"
)

// Labels by which a container itself says how its log is to be captured, as
// annotations do for Fluent Bit in Kubernetes.
const (
	excludeLabel   = "fluentbit.io/exclude"   // true: not at all
	parserLabel    = "fluentbit.io/parser"    // becomes the record key parser
	multilineLabel = "fluentbit.io/multiline" // takes the place of the option Multiline
)

const oddLabel = "the value of a label of the container is not understood, it is as if it had none"

// optsOut says whether a container asks to be left out.
func optsOut(c *container.Container) bool {
	var out bool
	return parseBool(&out, c.Labels[excludeLabel]) == nil && out
}

// heed takes over what the container's labels ask for, and says what of it is
// not understood. out.mu is held.
func (s *stream) heed(c *container.Container) {
	multi := s.col.cfg.Multiline
	if v, ok := c.Labels[multilineLabel]; ok {
		var l languages
		if err := parseLanguages(&l, v); err != nil {
			s.log.Warn(oddLabel, "label", multilineLabel, "value", v)
		} else {
			multi = l
		}
	}
	s.joinsTraces(multi)
	var out bool
	if v, ok := c.Labels[excludeLabel]; ok && parseBool(&out, v) != nil {
		s.log.Warn(oddLabel, "label", excludeLabel, "value", v)
	}
}

func parseLanguages(dst *languages, v string) error {
	if strings.EqualFold(v, "off") {
		return nil
	}
	items := splitList(v)
	for _, item := range items {
		l := language(item)
		if l == 0 {
			return fmt.Errorf("%s is no language that is known", item)
		}
		*dst |= l
	}
	if len(items) == 0 {
		return errNotAllowed
	}
	return nil
}
