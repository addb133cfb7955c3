package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/enginetest"
)

// Absolute paths of what `make build` makes.
var pluginPath, hostPath string

// agents are the programs that the tests run the plugin in; each test runs once in each.
var agents []agent

// tooOld are the Fluent Bits that the plugin refuses to run in.
var tooOld []fluentBit

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(enginetest.M{M: m})
}

// prepare builds the plugin and the host, so that a plain `go test` never runs against old ones, and says what is used.
func prepare() error {
	root, err := enginetest.Root()
	if err != nil {
		return err
	}
	build := exec.Command("make", "--silent", "--no-print-directory", "-C", root, "build")
	build.Env = without(os.Environ(), "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, out)
	}
	pluginPath = filepath.Join(root, "build", "in_docker_logs.so")
	hostPath = filepath.Join(root, "build", "flbhost")
	bits, err := fluentBits()
	if err != nil {
		return err
	}
	names := []string{}
	for _, f := range bits {
		names = append(names, fmt.Sprintf("%s (%s)", f, f.path))
		if f.version.since(2, 2, 0) {
			agents = append(agents, f)
		} else {
			tooOld = append(tooOld, f)
		}
	}
	if len(bits) == 0 {
		names = append(names, "no fluent-bit here")
	}
	agents = append(agents, host{})
	fmt.Fprintln(os.Stderr, "e2e: through", strings.Join(append(names, "the project's host"), "; "))
	return nil
}

func without(env []string, names ...string) []string {
	var out []string
	for _, kv := range env {
		drop := false
		for _, n := range names {
			drop = drop || strings.HasPrefix(kv, n+"=")
		}
		if !drop {
			out = append(out, kv)
		}
	}
	return out
}

// each runs f once per Engine and agent.
func each(t *testing.T, f func(t *testing.T, e *enginetest.Engine, a agent)) {
	t.Helper()
	for _, e := range enginetest.All(t) {
		for _, a := range agents {
			t.Run(fmt.Sprintf("engine-%.2s/%s", e.Version, a), func(t *testing.T) {
				t.Parallel() // an agent mostly waits: for its flush, its shutdown, its output
				f(t, e, a)
			})
		}
	}
}

// eachAgent runs f once per agent, for what does not depend on the Engine.
func eachAgent(t *testing.T, f func(t *testing.T, a agent)) {
	t.Helper()
	for _, a := range agents {
		t.Run(a.String(), func(t *testing.T) { f(t, a) })
	}
}
