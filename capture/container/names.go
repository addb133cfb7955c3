package container

import (
	"strings"
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

// LabelOf is the label that a short name stands for. It is "" if it is none.
func LabelOf(key string) string {
	for _, s := range shortNames {
		if s.key == key {
			return s.label
		}
	}
	return ""
}

// ShortNameList is all short names in words, each between two texts.
func ShortNameList(before, after string) string {
	var names []string
	for _, s := range shortNames {
		names = append(names, before+s.key+after)
	}
	return strings.Join(names, ", ")
}

// These labels say how a container wants its log to be captured. For Fluent Bit
// in Kubernetes annotations do so.
const (
	ExcludeLabel   = "fluentbit.io/exclude"   // true: not at all
	ParserLabel    = "fluentbit.io/parser"    // becomes the record key parser
	MultilineLabel = "fluentbit.io/multiline" // takes the place of the option Multiline
)

// OptsOut says whether a container asks to be left out.
func OptsOut(c *Container) bool {
	out, ok := BoolOf(c.Labels[ExcludeLabel])
	return ok && out
}

// BoolOf reads yes or no from an option or a label.
func BoolOf(v string) (on, ok bool) {
	switch strings.ToLower(v) {
	case "on", "true", "yes", "1":
		return true, true
	case "off", "false", "no", "0":
		return false, true
	}
	return false, false
}
