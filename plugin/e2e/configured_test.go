package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const slowLua = "function slow(tag, ts, rec)\n local t = os.clock(); while os.clock() - t < %s do end\n return 0, ts, rec\nend\n"

// configured is a Fluent Bit with a configuration of its own, in a directory of its own, that may be started again and
// again.
type configured struct {
	t    *testing.T
	bin  fluentBit
	dir  string
	cmd  *exec.Cmd
	runs int
	log  lockedBuffer // of all that ran
	done chan error
}

// lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// isCrash says whether a line begins what a program says when it crashes: a dump of all goroutines follows, longer than
// what is shown of the end.
func isCrash(line string) bool {
	return strings.Contains(line, "caught signal (SIGSEGV)") || strings.HasPrefix(line, "fatal error:") ||
		strings.HasPrefix(line, "SIG") || strings.Contains(line, "unexpected signal") || strings.Contains(line, "runtime: ")
}

// newConfigured writes the configuration, in which ${RUN} is the number of the start, and a Lua filter slow.lua that takes so many seconds for each record.
func newConfigured(t *testing.T, bin fluentBit, yaml string, slow string) *configured {
	t.Helper()
	r := &configured{t: t, bin: bin, dir: t.TempDir()}
	for name, text := range map[string]string{"fluent-bit.yaml": yaml, "slow.lua": fmt.Sprintf(slowLua, slow)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			lines := strings.Split(r.log.String(), "\n")
			if i := slices.IndexFunc(lines, isCrash); i >= 0 {
				t.Logf("%s crashed:\n%s", bin, strings.Join(lines[max(0, i-20):min(len(lines), i+60)], "\n"))
			}
			t.Logf("%s said:\n%s", bin, strings.Join(tail(lines, 60), "\n"))
		}
	})
	return r
}

func (r *configured) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.bin.path, "-e", pluginPath, "-c", "fluent-bit.yaml")
	r.runs++
	r.cmd.Dir, r.cmd.Env = r.dir, append(os.Environ(), fmt.Sprint("RUN=", r.runs))
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	done, cmd := make(chan error, 1), r.cmd
	r.done = done
	go func() { done <- cmd.Wait() }()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
}

// end sends a signal that ends it, and returns what Wait says of it.
func (r *configured) end(sig syscall.Signal) error {
	r.t.Helper()
	_ = r.cmd.Process.Signal(sig)
	return r.wait(sig.String())
}

func (r *configured) wait(why string) error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(limit):
		r.t.Fatalf("no end within %v of %s", limit, why)
		return nil
	}
}

// said is how often its log has a text.
func (r *configured) said(text string) int { return strings.Count(r.log.String(), text) }

// reload makes it load its configuration again, and returns when the new inputs run.
func (r *configured) reload() {
	r.t.Helper()
	const started = "stream processor started"
	n := r.said(started)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, limit, "the end of a hot reload", func() bool { return r.said(started) > n })
}

// files are what stands in files of its directory.
func (r *configured) files(names ...string) (texts [][]byte) {
	for _, name := range names {
		text, _ := os.ReadFile(filepath.Join(r.dir, name))
		texts = append(texts, text)
	}
	return texts
}

// eventually polls: files of another process announce nothing.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("not within %v: %s", within, what)
			return
		}
	}
}
