// Command release prints the licenses of what the plugin is made of. That is Go, each module, and zig's C runtime.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	zig := flag.String("zig", "", "`directory` of the Python environment that zig was installed into")
	flag.Parse()
	if err := run(os.Stdout, *zig); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, zig string) error {
	parts, err := linked("amd64", "arm64")
	if err != nil {
		return err
	}
	if zig != "" {
		texts, err := filepath.Glob(filepath.Join(zig, "lib/python*/site-packages/ziglang/LICENSE"))
		if err != nil || len(texts) == 0 {
			return errors.Join(fmt.Errorf("no license of zig below %s", zig), err)
		}
		parts = append(parts, part{"zig, of whose runtime for C some functions are linked in", texts})
	}
	return write(w, parts)
}

// part is something that is linked in, with the files that tell its terms.
type part struct {
	name  string
	files []string
}

// listed is what `go list -json` says of a package.
type listed struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// linked returns Go and the modules that the plugin holds on any of the architectures.
func linked(arches ...string) ([]part, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	parts := []part{{"Go, its runtime and standard library", []string{filepath.Join(strings.TrimSpace(string(goroot)), "LICENSE")}}}
	found := map[string][]string{}
	for _, arch := range arches {
		cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", "fluent-bit-docker-logs/plugin")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOOS=linux", "GOARCH="+arch)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
			var p listed
			if err := d.Decode(&p); err != nil {
				return nil, fmt.Errorf("what go list says: %w", err)
			}
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			name := p.Module.Path + " " + p.Module.Version
			if found[name], err = terms(found[name], p.Dir, p.Module.Dir); err != nil {
				return nil, err
			}
		}
	}
	for name, files := range found {
		if len(files) == 0 {
			return nil, fmt.Errorf("%s has no license", name)
		}
		slices.Sort(files)
		parts = append(parts, part{name, files})
	}
	slices.SortFunc(parts[1:], func(a, b part) int { return strings.Compare(a.name, b.name) })
	return parts, nil
}

var termsName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// terms adds the files that tell the terms of a package: those beside it, and above it up to its module.
func terms(files []string, dir, module string) ([]string, error) {
	for ; ; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.Type().IsRegular() && termsName.MatchString(e.Name()) && filepath.Ext(path) != ".go" && !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
		if dir == module || len(dir) <= len(module) {
			return files, nil
		}
	}
}

// write prints each text once, below the names of all that it is the text of.
func write(w io.Writer, parts []part) error {
	names, texts := map[string][]string{}, []string{}
	for _, p := range parts {
		for _, file := range p.files {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			text := strings.TrimRight(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
			if names[text] == nil {
				texts = append(texts, text)
			}
			if !slices.Contains(names[text], p.name) {
				names[text] = append(names[text], p.name)
			}
		}
	}
	_, err := fmt.Fprintln(w, "in_docker_logs.so holds the following besides its own code.")
	for _, text := range texts {
		_, e := fmt.Fprintf(w, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(names[text], "\n"), text)
		err = errors.Join(err, e)
	}
	return err
}
