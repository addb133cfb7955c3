package docker_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pathWithout returns a PATH with all programs of this one but those named. Where given, stand-in shell scripts take a place.
func pathWithout(t *testing.T, names []string, standins map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range standins {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := os.ReadDir(from)
		if err != nil {
			continue // a PATH may name what is not there
		}
		for _, p := range programs {
			if slices.Contains(names, p.Name()) {
				continue
			}
			// Of programs of the same name the first counts.
			if err := os.Symlink(filepath.Join(from, p.Name()), filepath.Join(dir, p.Name())); err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// script is a command in the module's directory, without what a make above it would tell a make below.
func script(t *testing.T, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = ".."
	for _, kv := range os.Environ() {
		if k, _, _ := strings.Cut(kv, "="); k != "MAKEFLAGS" && k != "MFLAGS" && k != "MAKELEVEL" {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// goOfModule is the version of Go that go.mod names.
func goOfModule(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`(?m)^go (\S+)`).FindStringSubmatch(readFile(t, "../go.mod"))[1]
}

// TestWithoutGo: who has no Go, or one that is too old, reads in one line what is needed.
func TestWithoutGo(t *testing.T) {
	makefile := readFile(t, "../Makefile")
	needed := goOfModule(t)
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `).FindAllStringSubmatch(makefile, -1) {
		if !slices.Contains([]string{"help", "up", "down", "clean"}, m[1]) {
			targets = append(targets, m[1])
		}
	}
	if len(targets) < 8 {
		t.Fatalf("the Makefile has only the targets %v", targets)
	}
	for name, c := range map[string]struct {
		standins map[string]string
		here     string
	}{
		"none": {nil, "no go on the PATH"},
		// What Debian 12's Go says of a newer go.mod.
		"old": {map[string]string{"go": `[ "$1" = version ] && echo go version go1.19.8 linux/amd64 && exit
			echo "go: errors parsing go.mod" >&2; exit 1`}, "go version go1.19.8 linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			path := pathWithout(t, []string{"go"}, c.standins)
			for _, target := range targets {
				out, err := script(t, []string{"PATH=" + path}, "make", target).CombinedOutput()
				if err == nil {
					t.Errorf("make %s: exit status 0", target)
				}
				text := string(out)
				if strings.Count(text, "\n") != 1 || !strings.Contains(text, "Go "+needed+" or newer is needed, and "+c.here+" is what is here") {
					t.Errorf("make %s says:\n%s", target, text)
				}
			}
			if out, err := script(t, []string{"PATH=" + path}, "make", "help").CombinedOutput(); err != nil {
				t.Errorf("make help: %v\n%s", err, out)
			}
		})
	}
}

// TestLint: whatever of it fails, or is not to be had, fails the whole.
func TestLint(t *testing.T) {
	const fine, fails = "exit 0", "exit 1"
	for name, c := range map[string]struct {
		linter, shellcheck, install string // install empty: there is no apt-get
		says                        string // empty: it passes
	}{
		"all is well":                  {fine, fine, "", ""},
		"golangci-lint finds":          {fails, fine, "", "Error 1"},
		"shellcheck finds":             {fine, fails, "", "Error 1"},
		"no shellcheck, no apt-get":    {fine, "", "", "not to be installed here (that takes root and apt-get): shellcheck\n"},
		"no shellcheck, apt-get fails": {fine, "", fails, "apt-get failed to install shellcheck"},
	} {
		t.Run(name, func(t *testing.T) {
			standins := map[string]string{"golangci-lint": c.linter, "id": "echo 0"}
			if c.shellcheck != "" {
				standins["shellcheck"] = c.shellcheck
			}
			if c.install != "" {
				standins["apt-get"] = c.install
			}
			path := pathWithout(t, []string{"shellcheck", "apt-get"}, standins)
			out, err := script(t, []string{"PATH=" + path}, "make", "lint", "LINT="+filepath.Join(path, "golangci-lint")).CombinedOutput()
			switch {
			case c.says == "" && err != nil:
				t.Errorf("%v\n%s", err, out)
			case c.says != "" && (err == nil || !strings.Contains(string(out), c.says)):
				t.Errorf("%v; it does not say %q:\n%s", err, c.says, out)
			}
		})
	}
}

// TestFluentBitOfThePackage: where it is not on the PATH, the Fluent Bit of the official packages is found.
func TestFluentBitOfThePackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a mount namespace of its own takes root")
	}
	const found = `mount -t tmpfs none /opt && mkdir -p /opt/fluent-bit/bin || exit 77
		docker/debian/fluent-bit.sh; [ $? = 1 ] || exit 1
		ln -s /bin/true /opt/fluent-bit/bin/fluent-bit && exec docker/debian/fluent-bit.sh`
	cmd := script(t, []string{"PATH=" + pathWithout(t, []string{"fluent-bit"}, nil)}, "unshare", "--mount", "sh", "-c", found)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 {
		t.Skip("no mount namespace of its own is to be had here")
	}
	if got := string(out); err != nil || got != "/opt/fluent-bit/bin/fluent-bit\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestOnePlaceFindsFluentBit: whoever looks for it in another way misses that of the official packages.
func TestOnePlaceFindsFluentBit(t *testing.T) {
	looks := regexp.MustCompile(`(LookPath|Command)\("fluent-bit"|command -v fluent-bit`)
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == "build" || d.Name() == ".git"):
			return filepath.SkipDir
		case path == "../docker/debian/fluent-bit.sh", path == "../docker/make_test.go":
			return nil
		case strings.HasSuffix(path, ".go"), strings.HasSuffix(path, ".sh"), d.Name() == "Makefile":
			if m := looks.FindString(readFile(t, path)); m != "" {
				t.Errorf("%s: %s; docker/debian knows where it is", path, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
