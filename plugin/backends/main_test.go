package backends

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	theLogs      target // of `make e2e`
	kafkaAddress string
)

// asked tells whether both backends are asked for: by `make e2e`, which sets E2E. Without it only what needs no Kafka is
// tested.
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
		return status
	}
	theLogs.close()
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
	wanted := []string{"kafka", "victorialogs"}
	address := os.Getenv("LOKI_URL")
	if address != "" {
		if theLogs, err = lokiTarget(address); err != nil {
			return err
		}
		wanted = wanted[:1]
	}
	var missing error
	for _, name := range wanted {
		_, err := script("missing", name)
		missing = errors.Join(missing, err)
	}
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
	up := map[string]string{}
	for _, name := range wanted {
		printed, err := script("up", name)
		if err != nil {
			return err
		}
		up[name] = strings.TrimSpace(printed)
	}
	kafkaAddress = up["kafka"]
	if address == "" {
		theLogs = victoriaLogsTarget(up["victorialogs"])
	}
	say("%s at %s, Kafka at %s", theLogs.name(), theLogs.url, kafkaAddress)
	return nil
}

// script runs docker/backends.sh and returns what it prints.
func script(args ...string) (string, error) { return scriptWith(nil, args...) }

// scriptWith runs it in an environment that has more than ours.
func scriptWith(env []string, args ...string) (string, error) {
	var out, messages bytes.Buffer
	cmd := exec.Command(filepath.Join(root, "docker", "backends.sh"), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	if args[0] == "up" {
		cmd.Stderr = io.MultiWriter(os.Stderr, &messages) // building takes its time
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker/backends.sh %s: %w\n%s", strings.Join(args, " "), err, messages.String())
	}
	return out.String(), nil
}

// say tells who watches how it goes.
func say(format string, args ...any) { fmt.Printf("e2e: "+format+"\n", args...) }
