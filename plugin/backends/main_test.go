package backends

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/enginetest"
)

var (
	root         string // directory of the module
	theLoki      loki
	kafkaAddress string
)

// asked tells whether the backends are asked for: by `make e2e`, which sets E2E. Without it only what needs none is tested.
var asked = os.Getenv("E2E") == "1"

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(runner{enginetest.M{M: m}})
}

// runner ends what the tests share, and shows the table, between the last test and goleak's look.
type runner struct{ enginetest.M }

// Run runs the tests and returns the binary's exit status.
func (r runner) Run() int {
	status := r.M.Run()
	if !asked {
		fmt.Println("backends: Loki and Kafka are tested by `make e2e`, not here")
		return status
	}
	theLoki.http.CloseIdleConnections()
	if _, err := script("down"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	results.print(os.Stdout)
	return status
}

// prepare builds the plugin and starts the backends without any data. An error names everything that is missing here.
func prepare() (err error) {
	if root, err = enginetest.Root(); err != nil || !asked {
		return err
	}
	_, missing := script("missing")
	version, err := exec.Command(program(), "--version").Output()
	if missing = errors.Join(missing, err); missing != nil {
		return fmt.Errorf("it cannot run here:\n%w", missing)
	}
	line, _, _ := strings.Cut(string(version), "\n")
	say("%s, configured by %s", line, configuration)
	build := exec.Command("make", "--silent", "--no-print-directory", "-C", root, "build")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, out)
	}
	if _, err := script("down"); err != nil { // a run before this one may have been killed
		return err
	}
	addresses, err := script("up")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(addresses, &theLoki.url, &kafkaAddress); err != nil {
		return fmt.Errorf("addresses %q: %w", addresses, err)
	}
	say("Loki at %s, Kafka at %s", theLoki.url, kafkaAddress)
	return nil
}

// script runs docker/backends.sh and returns what it prints.
func script(args ...string) (string, error) {
	var out, messages bytes.Buffer
	cmd := exec.Command(filepath.Join(root, "docker", "backends.sh"), args...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	if args[0] == "up" {
		cmd.Stderr = os.Stderr // building takes its time
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker/backends.sh %s: %w\n%s", strings.Join(args, " "), err, messages.String())
	}
	return out.String(), nil
}

// say tells who watches how it goes.
func say(format string, args ...any) { fmt.Printf("e2e: "+format+"\n", args...) }
