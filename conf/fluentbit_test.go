package conf_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/debian"
)

// Where the examples expect things.
const (
	installed = "/usr/local/lib/fluent-bit/in_docker_logs.so"
	etc       = "/etc/fluent-bit/"
	state     = "/var/lib/fluent-bit"
)

// limit bounds every wait.
const limit = 2 * time.Minute

func lookFluentBit(t *testing.T) string {
	t.Helper()
	path, ok := debian.FluentBit()
	if !ok {
		t.Skip("no fluent-bit here: the examples are compared with the checked-in lists only")
	}
	return path
}

// requirePlugins skips the test where this Fluent Bit was built without one of the plugins (`output kafka`).
func requirePlugins(t *testing.T, fluentBit string, plugins ...string) {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), fluentBit, "--help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range plugins {
		kind, plugin, _ := strings.Cut(name, " ")
		_, list, _ := strings.Cut(string(help), strings.ToUpper(kind[:1])+kind[1:]+"s\x1b")
		list, _, _ = strings.Cut(list, "\n\n")
		if !regexp.MustCompile(`(?m)^  ` + plugin + ` `).MatchString(list) {
			t.Skipf("this fluent-bit was built without %s", name)
		}
	}
}

// plugins are those of Fluent Bit's own that an example uses.
func plugins(example []section) (list []string) {
	for _, s := range example {
		if s.kind == "filter" || s.kind == "output" {
			list = append(list, s.name())
		}
	}
	return list
}

// install copies an example into a directory of its own, with what is here instead of what is installed, after edit.
func install(t *testing.T, file string, edit func(string) string) (path string) {
	t.Helper()
	plugin, err := filepath.Abs("../build/in_docker_logs.so")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(plugin); err != nil {
		t.Fatalf("%v: run `make build` before", err)
	}
	dir := t.TempDir()
	here := strings.NewReplacer(installed, plugin, etc, dir+"/", state, dir)
	for _, name := range []string{"plugins.conf", "docker_logs_parsers.conf", file} {
		text := here.Replace(read(t, name))
		if name == file && edit != nil {
			text = edit(text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, file)
}

// environment is what the examples take from it: outputs that nobody serves, and no endpoint, whose port is another's.
func environment() []string {
	return append(os.Environ(), "LOKI_HOST=127.0.0.1", "LOKI_PORT=9", "KAFKA_BROKERS=127.0.0.1:9",
		"VICTORIALOGS_HOST=127.0.0.1", "VICTORIALOGS_PORT=9", "OPENSEARCH_HOST=127.0.0.1", "OPENSEARCH_PORT=9", "OPENSEARCH_PASSWORD=secret",
		"HTTP_HOST=127.0.0.1", "HTTP_PORT=9", "HTTP_TOKEN=secret", "OTLP_HOST=127.0.0.1", "OTLP_PORT=9", "OTLP_TOKEN=secret",
		"FORWARD_HOST=127.0.0.1", "FORWARD_PORT=9", "FORWARD_KEY=secret", "SPLUNK_HOST=127.0.0.1", "SPLUNK_PORT=9", "SPLUNK_TOKEN=secret",
		"S3_BUCKET=logs", "S3_REGION=nowhere",
		"LOKI_PASSWORD=secret", "KAFKA_PASSWORD=secret", "VICTORIALOGS_PASSWORD=secret", "METRICS_LISTEN=off")
}

// agent is a running Fluent Bit and what it has printed.
type agent struct {
	t       *testing.T
	cmd     *exec.Cmd
	mu      sync.Mutex
	out     bytes.Buffer  // whole lines of standard output; guarded by mu
	log     bytes.Buffer  // of standard error; guarded by mu
	changed chan struct{} // has an element after a line was printed
	ended   chan struct{} // closed after the last line
}

// start runs an installed example; it is ended with the test.
func start(t *testing.T, fluentBit, path string) *agent {
	t.Helper()
	a := &agent{t: t, cmd: exec.Command(fluentBit, "-c", path), changed: make(chan struct{}, 1), ended: make(chan struct{})}
	a.cmd.Env = environment()
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := a.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { a.read(stdout, &a.out) })
	readers.Go(func() { a.read(stderr, &a.log) })
	go func() {
		readers.Wait()
		close(a.ended)
	}()
	t.Cleanup(a.stop)
	return a
}

func (a *agent) read(from io.Reader, into *bytes.Buffer) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		a.mu.Lock()
		fmt.Fprintln(into, lines.Text())
		a.mu.Unlock()
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
}

// text returns what was printed so far.
func (a *agent) text() (out, log string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out.String(), a.log.String()
}

// await waits until what was printed is as wanted.
func (a *agent) await(what string, wanted func(out, log string) bool) {
	a.t.Helper()
	deadline := time.After(limit)
	for !wanted(a.text()) {
		select {
		case <-a.changed:
		case <-a.ended:
			if !wanted(a.text()) {
				_, log := a.text()
				a.t.Fatalf("Fluent Bit ended before %s:\n%s", what, log)
			}
			return
		case <-deadline:
			out, log := a.text()
			a.t.Fatalf("not in time: %s; %d lines of standard output, and its log:\n%s", what, strings.Count(out, "\n"), log)
		}
	}
}

// stop ends it in an orderly way, once; after it, text is complete.
func (a *agent) stop() {
	if a.cmd.ProcessState != nil {
		return
	}
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	killer := time.AfterFunc(limit, func() { _ = a.cmd.Process.Kill() })
	<-a.ended
	killer.Stop()
	if err := a.cmd.Wait(); err != nil {
		_, log := a.text()
		a.t.Errorf("the end of Fluent Bit: %v\n%s", err, log)
	}
}
