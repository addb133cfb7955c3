package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/docker/debian"
)

// fluentBit is the real agent, configured in the classic format.
type fluentBit struct {
	path    string
	version release
}

func (f fluentBit) String() string { return "fluent-bit-" + f.version.String() }

// release is a version of Fluent Bit.
type release [3]int

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

// since reports whether it is that release or a later one.
func (r release) since(major, minor, patch int) bool {
	return slices.Compare(r[:], []int{major, minor, patch}) >= 0
}

// fluentBits are the Fluent Bits to test on: those that the environment variable FLUENT_BITS names, paths separated by
// colons or spaces, or that of this machine.
func fluentBits() (bits []fluentBit, err error) {
	paths := strings.FieldsFunc(os.Getenv("FLUENT_BITS"), func(r rune) bool { return r == ':' || r == ' ' })
	if len(paths) == 0 {
		path, ok := debian.FluentBit()
		if !ok {
			return nil, nil
		}
		paths = []string{path}
	}
	for _, path := range paths {
		said, err := exec.Command(path, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w", path, err)
		}
		f := fluentBit{path: path}
		if _, err := fmt.Sscanf(string(said), "Fluent Bit v%d.%d.%d", &f.version[0], &f.version[1], &f.version[2]); err != nil {
			return nil, fmt.Errorf("%s --version says %q", path, said)
		}
		bits = append(bits, f)
	}
	return bits, nil
}

// eachFluentBit runs f once per Fluent Bit that the plugin runs in.
func eachFluentBit(t *testing.T, f func(t *testing.T, bin fluentBit)) {
	t.Helper()
	needFluentBit(t)
	for _, a := range agents {
		if bin, ok := a.(fluentBit); ok {
			t.Run(bin.String(), func(t *testing.T) { f(t, bin) })
		}
	}
}

// needFluentBit is the newest Fluent Bit; without one the test is skipped.
func needFluentBit(t *testing.T) fluentBit {
	t.Helper()
	var newest fluentBit
	for _, a := range agents {
		if f, ok := a.(fluentBit); ok && slices.Compare(f.version[:], newest.version[:]) > 0 {
			newest = f
		}
	}
	if newest.path == "" {
		t.Skip("no fluent-bit on the PATH")
	}
	return newest
}

func (f fluentBit) command(dir, out string, s setup) (*exec.Cmd, error) {
	var b strings.Builder
	section := func(name string, keys options) {
		fmt.Fprintf(&b, "[%s]\n", name)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			fmt.Fprintf(&b, "    %s %s\n", k, keys[k])
		}
	}
	service := options{"Flush": "0.2", "Grace": "10", "Hot_Reload": "On", "Log_Level": "info"}
	if s.daemon {
		service["Daemon"] = "On"
	}
	if s.logFile != "" {
		service["Log_File"] = s.logFile
	}
	if s.storage != "" {
		service["storage.path"] = s.storage
		service["storage.sync"] = "normal"
	}
	if host, port, ok := strings.Cut(s.http, ":"); ok {
		service["HTTP_Server"], service["HTTP_Listen"], service["HTTP_Port"] = "On", host, port
	}
	section("SERVICE", service)
	for _, in := range s.inputs {
		keys := maps.Clone(in)
		if s.memBufLimit != "" {
			keys["Mem_Buf_Limit"] = s.memBufLimit
		}
		if s.unthreaded {
			keys["Threaded"] = "Off"
		}
		if s.storage != "" {
			keys["storage.type"] = "filesystem"
		}
		keys["Name"] = "docker_logs"
		section("INPUT", keys)
	}
	section("OUTPUT", options{"Name": "file", "Match": "*", "File": out, "Retry_Limit": "no_limits"})
	conf := filepath.Join(dir, "fluent-bit.conf")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(f.path, "-e", pluginPath, "-c", conf), nil
}

func (f fluentBit) help() *exec.Cmd {
	return exec.Command(f.path, "-e", pluginPath, "-i", "docker_logs", "-h")
}

func (fluentBit) ready() *regexp.Regexp { return regexp.MustCompile(`stream processor started`) }
func (fluentBit) reloaded() *regexp.Regexp {
	return regexp.MustCompile(`\[reload\] successful reload done`)
}
func (fluentBit) paused() *regexp.Regexp { return regexp.MustCompile(`paused \(mem buf overlimit`) }
