package e2e

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
)

// host is the project's minimal Fluent Bit.
type host struct{}

func (host) String() string { return "host" }

func (host) command(_, out string, s setup) (*exec.Cmd, error) {
	args := []string{"--flush-ms", "200", "-o", "file:" + out}
	if s.memBufLimit != "" {
		args = append(args, "--mem-buf-limit", s.memBufLimit)
	}
	if s.slow > 0 {
		args = append(args, "--slow", fmt.Sprint(s.slow), "--grace", "20")
	}
	if s.unthreaded {
		args = append(args, "--no-thread")
	}
	if s.daemon {
		args = append(args, "--daemon")
	}
	args = append(args, s.faults...)
	args = append(args, pluginPath)
	for _, in := range s.inputs {
		args = append(args, "-i")
		for _, k := range slices.Sorted(maps.Keys(in)) {
			args = append(args, k+"="+in[k])
		}
	}
	return exec.Command(hostPath, args...), nil
}

func (host) help() *exec.Cmd { return exec.Command(hostPath, pluginPath, "-h") }

func (host) ready() *regexp.Regexp    { return regexp.MustCompile(`^\[host\] ok ready`) }
func (host) reloaded() *regexp.Regexp { return regexp.MustCompile(`^\[host\] ok reload`) }
func (host) paused() *regexp.Regexp   { return regexp.MustCompile(`paused \(mem buf overlimit`) }
