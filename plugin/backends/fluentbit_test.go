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
)

// fluentBit is Fluent Bit with one of the project's own configurations, in which only places and containers are changed.
type fluentBit struct {
	t    testing.TB
	dir  string // its configuration, storage, positions and log
	env  []string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process was waited for
}

// newFluentBit makes the configuration conf/NAME for the containers of an Engine whose names begin with prefix. Addresses
// come from env. The process is killed when the test ends.
func newFluentBit(t testing.TB, engine, name, prefix string, env []string, more ...setting) *fluentBit {
	t.Helper()
	f := &fluentBit{t: t, dir: t.TempDir(), env: env}
	text, err := os.ReadFile(filepath.Join(root, "conf", name))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := configure(string(text), f.dir, engine, prefix, more...)
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
	cmd.Env = append(append(os.Environ(), "METRICS_LISTEN=off"), f.env...)
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

// setting is a key of a configuration and its value. Where under is the name of a section's plugin the key is added there,
// else it stands in the configuration once and is changed, or removed where there is no value.
type setting struct{ key, value, under string }

// configure changes a configuration of the classic format: what it writes goes into dir, it captures the containers of an
// Engine whose names begin with prefix, and more.
func configure(conf, dir, engine, prefix string, more ...setting) (string, error) {
	settings := append([]setting{
		{"Plugins_File", filepath.Join(dir, "plugins.conf"), ""},
		{"storage.path", filepath.Join(dir, "storage"), ""},
		{"DB", filepath.Join(dir, "positions.json"), ""},
		{"Docker_Host", engine, "docker_logs"},
		{"Include", "name=" + prefix + "*", "docker_logs"},
		{"Start_From", "beginning", "docker_logs"},
	}, more...)
	for _, set := range settings {
		line, key := `( *`+regexp.QuoteMeta(set.key)+` +)\S.*`, set.key
		with := "${1}" + strings.ReplaceAll(set.value, "$", "$$")
		if set.under != "" {
			line, key = `( *)Name +`+set.under+` *`, "section "+set.under
			with = "$0\n${1}" + set.key + " " + strings.ReplaceAll(set.value, "$", "$$")
		}
		end := "$"
		if set.value == "" {
			end, with = `\n`, ""
		}
		pattern := regexp.MustCompile(`(?m)^` + line + end)
		if n := len(pattern.FindAllString(conf, -1)); n != 1 {
			return "", fmt.Errorf("%s stands there %d times", key, n)
		}
		conf = pattern.ReplaceAllString(conf, with)
	}
	return conf, nil
}

// program is Fluent Bit's path, or its name where there is none.
func program() string {
	if path, ok := debian.FluentBit(); ok {
		return path
	}
	return "fluent-bit"
}
