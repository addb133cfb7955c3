package backends

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// fluentBit is Fluent Bit with one of the project's own configurations, in which only places and containers are changed.
type fluentBit struct {
	t    testing.TB
	dir  string // its configuration, storage, positions and log
	cmd  *exec.Cmd
	done chan struct{} // closed when the process was waited for
}

// newFluentBit makes the configuration conf/NAME for the containers whose names begin with prefix. The process is killed
// when the test ends.
func newFluentBit(t testing.TB, e *enginetest.Engine, name, prefix string, more ...setting) *fluentBit {
	t.Helper()
	f := &fluentBit{t: t, dir: t.TempDir()}
	text, err := os.ReadFile(filepath.Join(root, "conf", name))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := configure(string(text), f.dir, e.Host, prefix, more...)
	if err != nil {
		t.Fatalf("conf/%s: %v", name, err)
	}
	f.write("plugins.conf", "[PLUGINS]\n    Path "+filepath.Join(root, "build", "in_docker_logs.so")+"\n")
	f.write("fluent-bit.conf", conf)
	t.Cleanup(func() {
		if f.cmd != nil {
			f.end(syscall.SIGKILL)
		}
		if t.Failed() {
			log, _ := os.ReadFile(f.log())
			lines := strings.Split(string(log), "\n")
			t.Logf("Fluent Bit said at the end:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
	return f
}

func (f *fluentBit) log() string { return filepath.Join(f.dir, "log") }

func (f *fluentBit) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// start runs it, for the first time or again.
func (f *fluentBit) start() {
	f.t.Helper()
	log, err := os.OpenFile(f.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(program(), "-c", filepath.Join(f.dir, "fluent-bit.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	host, port, _ := strings.Cut(strings.TrimPrefix(theLoki.url, "http://"), ":")
	cmd.Env = append(os.Environ(), "LOKI_HOST="+host, "LOKI_PORT="+port, "KAFKA_BROKERS="+kafkaAddress, "METRICS_LISTEN=off")
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		_ = log.Close()
		close(done)
	}()
	f.cmd, f.done = cmd, done
}

// end sends a signal that ends it, waits until it has, and returns how long that took.
func (f *fluentBit) end(sig syscall.Signal) time.Duration {
	f.t.Helper()
	begin := time.Now()
	_ = f.cmd.Process.Signal(sig)
	select {
	case <-f.done:
	case <-time.After(2 * time.Minute):
		f.t.Errorf("Fluent Bit does not end within two minutes of %v", sig)
		_ = f.cmd.Process.Kill()
		<-f.done
	}
	return time.Since(begin).Round(100 * time.Millisecond)
}

// setting is a key of a configuration and its value.
type setting struct{ key, value string }

// configure changes a configuration of the classic format: what it writes goes into dir, and it captures the containers of
// an Engine whose names begin with prefix. What else is to be changed must stand there once.
func configure(conf, dir, engine, prefix string, more ...setting) (string, error) {
	settings := append([]setting{
		{"Plugins_File", filepath.Join(dir, "plugins.conf")},
		{"storage.path", filepath.Join(dir, "storage")},
		{"DB", filepath.Join(dir, "positions.json")},
	}, more...)
	for _, set := range settings {
		line := regexp.MustCompile(`(?m)^( *` + regexp.QuoteMeta(set.key) + ` +)\S.*$`)
		if n := len(line.FindAllString(conf, -1)); n != 1 {
			return "", fmt.Errorf("%s stands there %d times", set.key, n)
		}
		conf = line.ReplaceAllString(conf, "${1}"+set.value)
	}
	name := regexp.MustCompile(`(?m)^( *Name +)docker_logs *$`)
	if n := len(name.FindAllString(conf, -1)); n != 1 {
		return "", fmt.Errorf("%d sections of docker_logs", n)
	}
	return name.ReplaceAllString(conf, "$0\n    Docker_Host "+engine+"\n    Include name="+prefix+"*\n    Start_From beginning"), nil
}

// program is Fluent Bit's path, or its name where there is none.
func program() string {
	if path, ok := debian.FluentBit(); ok {
		return path
	}
	return "fluent-bit"
}
