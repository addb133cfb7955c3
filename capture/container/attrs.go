package container

import (
	"maps"
	"regexp"
	"strings"
)

// AttrsOf is what a container's log options store with each line. It is worked
// out from an inspect as the Engine does at the container's start: labels and
// variables that labels, labels-regex, env and env-regex choose, in this order,
// and the tag.
func AttrsOf(c *Container, imageID string, opts map[string]string, vars []string) map[string]string {
	attrs := map[string]string{}
	choose(attrs, c.Labels, opts["labels"], opts["labels-regex"])
	env := map[string]string{}
	for _, e := range vars {
		if name, value, ok := strings.Cut(e, "="); ok {
			env[name] = value
		}
	}
	choose(attrs, env, opts["env"], opts["env-regex"])
	if tag := expandLogTag(opts["tag"], c, imageID); tag != "" {
		attrs["tag"] = tag
	}
	if len(attrs) == 0 {
		return nil
	}
	return attrs
}

// choose copies what a list of names, or a regular expression, names.
func choose(dst, from map[string]string, names, expr string) {
	for name := range strings.SplitSeq(names, ",") {
		if v, ok := from[name]; ok {
			dst[name] = v
		}
	}
	if expr == "" {
		return
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return // nor does the Engine run such a container
	}
	for name, v := range maps.All(from) {
		if re.MatchString(name) {
			dst[name] = v
		}
	}
}

var logTagField = regexp.MustCompile(`{{\s*\.(\w+)\s*}}`)

// expandLogTag fills in the fields of the log option tag. What else a template
// may hold stays as it is written: to run it would be to run what any user of
// the Engine has written.
func expandLogTag(tag string, c *Container, imageID string) string {
	return logTagField.ReplaceAllStringFunc(tag, func(field string) string {
		switch logTagField.FindStringSubmatch(field)[1] {
		case "ID":
			return ShortID(c.ID)
		case "FullID", "ContainerID":
			return c.ID
		case "Name":
			return c.Name
		case "ContainerName":
			return "/" + c.Name
		case "ImageID": // of Engine 20.10 it is sha256: and five digits
			return ShortID(strings.TrimPrefix(imageID, "sha256:"))
		case "ImageFullID", "ContainerImageID":
			return imageID
		case "ImageName", "ContainerImageName":
			return c.Image
		case "DaemonName":
			return "docker"
		}
		return field
	})
}
