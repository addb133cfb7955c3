// Check says whether a configuration has values that are allowed. It looks at the inputs docker_logs, which
// `fluent-bit --dry-run` does not do:
//
//	check /etc/fluent-bit/fluent-bit.yaml
//
// It reads both of Fluent Bit's formats, with the files that they include, and ${VARIABLES} from the environment. It exits with 1
// where a value is not allowed, with 0 and the number of inputs otherwise.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"fluent-bit-docker-logs/capture"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check FILE")
		os.Exit(2)
	}
	n, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %d inputs docker_logs, all their values are allowed\n", os.Args[1], n)
}

// input is one input's keys in lower case.
type input map[string]string

// check returns how many inputs of the plugin the file has, and what is wrong with them.
func check(file string) (n int, err error) {
	r := reader{env: map[string]string{}}
	if err := r.read(file, 0); err != nil {
		return 0, err
	}
	known := map[string]bool{}
	for _, o := range capture.Options() {
		known[strings.ToLower(o.Key)] = true
	}
	var wrong []error
	for _, in := range r.inputs {
		if !strings.EqualFold(in["name"], "docker_logs") {
			continue
		}
		n++
		name := in["alias"]
		if name == "" {
			name = fmt.Sprint("docker_logs.", n-1)
		}
		if _, err := capture.ParseConfig(func(key string) string { return in[strings.ToLower(key)] }); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: input %s: %w", file, name, err))
		}
		for key := range in {
			if !known[key] && !ofEveryInput.MatchString(key) {
				wrong = append(wrong, fmt.Errorf("%s: input %s: there is no option %s", file, name, key))
			}
		}
	}
	return n, errors.Join(wrong...)
}

// ofEveryInput matches the keys that Fluent Bit itself reads.
var ofEveryInput = regexp.MustCompile(`^(name|tag|alias|log_level|log_suppress_interval|mem_buf_limit|routable|threaded|processors|routes|(thread|storage)\..*)$`)

// reader collects inputs.
type reader struct {
	env    map[string]string // set in the file
	inputs []input
}

// maxDepth bounds files that include each other.
const maxDepth = 16

func (r *reader) read(file string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: files include each other", file)
	}
	b, err := os.ReadFile(file) //nolint:gosec // it is what was asked for
	if err != nil {
		return err
	}
	if ext := filepath.Ext(file); ext == ".yaml" || ext == ".yml" {
		err = r.yaml(b, filepath.Dir(file), depth)
	} else {
		err = r.classic(string(b), filepath.Dir(file), depth)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (r *reader) classic(text, dir string, depth int) error {
	var open input
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		value = r.expand(strings.TrimSpace(value))
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.EqualFold(key, "@include"):
			if err := r.include(value, dir, depth); err != nil {
				return err
			}
		case strings.EqualFold(key, "@set"):
			name, v, _ := strings.Cut(value, "=")
			r.env[name] = v
		case strings.HasPrefix(line, "["):
			if open = nil; strings.EqualFold(line, "[INPUT]") {
				open = input{}
				r.inputs = append(r.inputs, open)
			}
		case open != nil:
			open.set(key, value)
		}
	}
	return nil
}

func (r *reader) yaml(b []byte, dir string, depth int) error {
	var file struct {
		Env      map[string]any
		Includes []string
		Pipeline struct{ Inputs []map[string]any }
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		return err
	}
	for name, v := range file.Env {
		r.env[name] = fmt.Sprint(v)
	}
	for _, pattern := range file.Includes {
		if err := r.include(pattern, dir, depth); err != nil {
			return err
		}
	}
	for _, section := range file.Pipeline.Inputs {
		in := input{}
		for key, v := range section {
			if list, ok := v.([]any); ok && len(list) > 0 {
				v = list[0] // Fluent Bit gives a plugin no more
			}
			in.set(key, r.expand(fmt.Sprint(v)))
		}
		r.inputs = append(r.inputs, in)
	}
	return nil
}

// set keeps the first value of a key, as Fluent Bit does.
func (in input) set(key, value string) {
	if key = strings.ToLower(key); in[key] == "" {
		in[key] = value
	}
}

func (r *reader) include(pattern, dir string, depth int) error {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("include %s: there is no such file", pattern)
	}
	for _, file := range files {
		if err := r.read(file, depth+1); err != nil {
			return err
		}
	}
	return nil
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// expand replaces ${NAME}; what is not set is empty.
func (r *reader) expand(v string) string {
	return variable.ReplaceAllStringFunc(v, func(ref string) string {
		name := ref[2 : len(ref)-1]
		if v, ok := r.env[name]; ok {
			return v
		}
		return os.Getenv(name)
	})
}
