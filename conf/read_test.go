package conf_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// names of the examples; each is there in both formats.
var names = []string{"fluent-bit", "loki", "kafka", "loki-kafka", "victorialogs", "opensearch", "http", "opentelemetry", "forward", "splunk", "s3",
	"json", "multiline", "routing", "by-label"}

// setting is one line of an example; off is one that can be switched on.
type setting struct {
	value string
	off   bool
}

// section is a part of an example: its kind (service, input, filter, output) and its keys in lower case.
type section struct {
	kind string
	keys map[string]setting
}

// name is the section's name as Fluent Bit is asked for it: `output kafka`; of the service, `service`.
func (s section) name() string { return strings.TrimSpace(s.kind + " " + s.keys["name"].value) }

// sections returns an example's sections of one kind.
func sections(example []section, kind string) []section {
	return slices.DeleteFunc(slices.Clone(example), func(s section) bool { return s.kind != kind })
}

func (s section) add(t *testing.T, key string, v setting) {
	t.Helper()
	key = strings.ToLower(key)
	if _, ok := s.keys[key]; ok {
		t.Errorf("%s: %s is given twice", s.name(), key)
	}
	s.keys[key] = v
}

var classicLine = regexp.MustCompile(`^ +(#?)([A-Za-z][\w.]*) +(.+)$`)

func readClassic(t *testing.T, text string) (example []section) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if name, ok := strings.CutPrefix(line, "["); ok {
			example = append(example, section{strings.ToLower(strings.TrimSuffix(name, "]")), map[string]setting{}})
		} else if m := classicLine.FindStringSubmatch(line); m != nil {
			example[len(example)-1].add(t, m[2], setting{m[3], m[1] != ""})
		} else if !isComment(line) {
			t.Errorf("line %q is not understood", line)
		}
	}
	return example
}

var (
	yamlSection = regexp.MustCompile(`^ *(service|plugins|pipeline|inputs|filters|outputs):$`)
	yamlLine    = regexp.MustCompile(`^ +(- )?(#?)([a-z][\w.]*): (.+)$`)
)

// readYAML reads the subset of YAML that the examples are written in; that it is YAML is for Fluent Bit to say.
func readYAML(t *testing.T, text string) (example []section) {
	kind := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if m := yamlSection.FindStringSubmatch(line); m != nil {
			kind = strings.TrimSuffix(m[1], "s")
			if kind == "service" {
				example = append(example, section{kind, map[string]setting{}})
			}
		} else if m := yamlLine.FindStringSubmatch(line); m != nil {
			if m[1] != "" {
				example = append(example, section{kind, map[string]setting{}})
			}
			example[len(example)-1].add(t, m[3], setting{m[4], m[2] != ""})
		} else if !isComment(line) && line != "  - "+installed {
			t.Errorf("line %q is not understood", line)
		}
	}
	return example
}

func isComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line == "#" || strings.HasPrefix(line, "# ")
}

// examples maps each file's name to what it says.
func examples(t *testing.T) map[string][]section {
	all := map[string][]section{}
	for _, name := range names {
		all[name+".conf"] = readClassic(t, read(t, name+".conf"))
		all[name+".yaml"] = readYAML(t, read(t, name+".yaml"))
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNames: no file of this directory escapes the tests.
func TestNames(t *testing.T) {
	files, err := filepath.Glob("*.[cy]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimSuffix(file, ".conf"), ".yaml")
		if !slices.Contains(names, name) && !slices.Contains([]string{"plugins", "docker_logs_parsers"}, name) {
			t.Errorf("%s is tested nowhere", file)
		}
	}
}
