package docker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// patience bounds a run that does not end by itself.
const patience = 5 * time.Minute

// makeRun runs `make run` and returns the records that it printed, and all else that it said.
func makeRun(t *testing.T, env ...string) (records []map[string]any, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := script(t, env, "make", "--silent", "run")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Minute // whoever it leaves behind has its output open
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer kill.Stop()
	err := cmd.Run()
	for line := range strings.Lines(stdout.String()) {
		var r map[string]any
		if json.Unmarshal([]byte(line), &r) != nil {
			continue
		}
		if record, ok := r["record"].(map[string]any); ok {
			r = record // flbhost shows its tag and time beside it
		}
		if r["container_id"] != nil {
			records = append(records, r)
		}
	}
	if err != nil {
		t.Errorf("make run: %v", err)
	}
	if t.Failed() {
		t.Logf("it said:\n%s", stderr.String())
	}
	return records, stderr.String()
}

// runAgents are environments in which make run finds Fluent Bit, where there is one, or only the project's host.
func runAgents(t *testing.T) map[string]string {
	t.Helper()
	agents := map[string]string{"flbhost": "PATH=" + pathWithout(t, []string{"fluent-bit"}, nil)}
	if path, ok := debian.FluentBit(); !ok || filepath.Dir(path) == "/opt/fluent-bit/bin" {
		t.Log("no fluent-bit on the PATH: only the project's host")
		return agents
	}
	agents["fluent-bit"] = "PATH=" + os.Getenv("PATH")
	return agents
}

// TestRunShowsRecords: however long it takes until the demonstration writes, DURATION begins after it.
func TestRunShowsRecords(t *testing.T) {
	e := enginetest.Own(t)
	for name, path := range runAgents(t) {
		t.Run(name, func(t *testing.T) {
			records, said := makeRun(t, path, "DOCKER_HOST="+e.Host, "DURATION=0.1s")
			if len(records) == 0 {
				t.Fatalf("no record was shown; it said:\n%s", said)
			}
			if r := records[0]; r["compose_service"] != "hello" {
				t.Errorf("got %v", r)
			}
			left, err := e.ContainerList(t.Context(), container.ListOptions{All: true})
			if err != nil || len(left) > 0 {
				t.Errorf("%d containers are left, %v", len(left), err)
			}
		})
	}
}

// noEngine is an environment in which none can be had.
func noEngine(t *testing.T) []string {
	t.Helper()
	return []string{"ENGINE_OWN=1", "XDG_STATE_HOME=" + t.TempDir(), "PATH=" + pathWithout(t, []string{"dockerd", "apt-get"}, nil)}
}

func TestRunWithoutEngine(t *testing.T) {
	records, said := makeRun(t, append(noEngine(t), "DURATION=0.1s")...)
	if len(records) == 0 || !strings.Contains(said, "a FAKE one") {
		t.Fatalf("records: %d; it said:\n%s", len(records), said)
	}
}

// TestRunWithQuietContainers: what runs and says nothing is waited for, and not for ever.
func TestRunWithQuietContainers(t *testing.T) {
	e := dockertest.Start(t)
	e.Run(dockertest.Container{Name: "quiet"})
	records, said := makeRun(t, "DOCKER_HOST="+e.Host(), "DURATION=0.1s")
	if len(records) != 0 || !strings.Contains(said, "containers that run: 1") {
		t.Fatalf("records: %d; it said:\n%s", len(records), said)
	}
}

func TestRunRefusesDuration(t *testing.T) {
	out, err := script(t, []string{"DURATION=soon"}, "docker/run.sh").CombinedOutput()
	if want := "run: DURATION is 'soon'; a time such as 10s is needed\n"; err == nil || string(out) != want {
		t.Errorf("%v, got %q, want %q", err, out, want)
	}
}

// TestRunEnds: a signal to the script alone, or to all that a terminal reaches, ends it and what it started.
func TestRunEnds(t *testing.T) {
	for name, signal := range map[string]func(pid int) error{
		"TERM":   func(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) },
		"Ctrl-C": func(pid int) error { return syscall.Kill(-pid, syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := script(t, noEngine(t), "docker/run.sh")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			records, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer context.AfterFunc(ctx, func() {
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				_ = records.Close()
			})()
			first := make([]byte, 1)
			if _, err := records.Read(first); err != nil {
				t.Fatal(err)
			}
			if err := signal(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			// The end of its output is the end of all that it started.
			for buf := make([]byte, 1<<16); err == nil; {
				_, err = records.Read(buf)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v; it said:\n%s", err, said.String())
			}
			if ctx.Err() != nil {
				t.Errorf("it did not end; it said:\n%s", said.String())
			}
		})
	}
}
