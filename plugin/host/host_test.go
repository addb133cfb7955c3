// Package host_test drives flbhost as a user would, with a probe plugin that
// says every callback it gets.
package host_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var dir, host, probe string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "flbhost"); err != nil {
		panic(err)
	}
	host, probe = filepath.Join(dir, "flbhost"), filepath.Join(dir, "probe.so")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// build compiles the host and the probe. It reads every source within the
// tests' time, or go test would not know them and hand out cached results.
var build = sync.OnceValue(func() error {
	flags := []string{"-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"}
	sources, _ := filepath.Glob("*.c")
	headers, _ := filepath.Glob("*.h")
	for _, name := range slices.Concat(sources, headers, []string{"testdata/probe.c"}) {
		if _, err := os.ReadFile(name); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		slices.Concat(flags, []string{"-rdynamic", "-o", host}, sources, []string{"-ldl"}),
		slices.Concat(flags, []string{"-shared", "-fPIC", "-o", probe, "testdata/probe.c"}),
	} {
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cc %v: %w\n%s", args, err, out)
		}
	}
	return nil
})

// limit bounds every wait.
const limit = 2 * time.Minute

// process is a running host, or Fluent Bit.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout bytes.Buffer
	lines  chan string // of stderr
	log    []string    // lines taken from it
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, lines: make(chan string, 1<<16)}
	cmd.Stdout = &p.stdout
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		done.Wait()
		cmd.Wait()
		if t.Failed() {
			t.Logf("stderr:\n%s\nstdout:\n%.4000s", strings.Join(p.log, "\n"), p.stdout.String())
		}
	})
	return p
}

// run starts the host with seconds of 50 ms, and "env:NAME=VALUE" arguments in
// its environment.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	t.Parallel()
	cmd := exec.Command(host, "--tick-ms", "50", "--flush-ms", "10")
	cmd.Env = os.Environ()
	for _, a := range args {
		if env, ok := strings.CutPrefix(a, "env:"); ok {
			cmd.Env = append(cmd.Env, env)
		} else {
			cmd.Args = append(cmd.Args, a)
		}
	}
	return start(t, cmd)
}

// wait returns the first line from here on that matches.
func (p *process) wait(pattern string) string {
	p.t.Helper()
	re, timeout := regexp.MustCompile(pattern), time.After(limit)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("ended before %q", pattern)
			}
			p.log = append(p.log, line)
			if re.MatchString(line) {
				return line
			}
		case <-timeout:
			p.t.Fatalf("no %q", pattern)
		}
	}
}

// do gives a command and returns its answer.
func (p *process) do(command string) string {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, command); err != nil {
		p.t.Fatal(err)
	}
	return p.wait(`^\[host\] ok ` + regexp.QuoteMeta(command))
}

// end waits for the process and returns its exit status.
func (p *process) end() int {
	p.t.Helper()
	for line := range p.lines {
		p.log = append(p.log, line)
	}
	var bad *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &bad) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) has(text string) bool {
	return strings.Contains(strings.Join(p.log, "\n"), text)
}

// calls are the callbacks of the probe so far, without their thread.
func (p *process) calls() (calls []string) {
	re := regexp.MustCompile(`^\[probe\] (\w+) (\S+)`)
	for _, line := range p.log {
		if m := re.FindStringSubmatch(line); m != nil {
			calls = append(calls, strings.TrimSuffix(m[1]+" "+m[2], " -"))
		}
	}
	return calls
}

type stats struct {
	Instances []struct {
		Name                             string
		Appends, Refused, Appended, Ring int
		Drained                          int
		Paused                           bool
	}
	Output  struct{ Records int }
	Process struct{ FDs, Threads int }
}

func (p *process) stats() (s stats) {
	p.t.Helper()
	line := strings.TrimPrefix(p.do("stats"), "[host] ok stats ")
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	return s
}

// written waits until the output has got n records.
func (p *process) written(n int) {
	p.t.Helper()
	p.do(fmt.Sprint("wait ", n))
}

// wantSequence checks that records 0 to n-1 were printed once and in order.
func (p *process) wantSequence(n int) {
	p.t.Helper()
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	if len(lines) != n {
		p.t.Fatalf("%d records, want %d", len(lines), n)
	}
	for i, line := range lines {
		if want := fmt.Sprintf(`{"tag":"probe.0","time":"1.000000002","record":{"n":%d}}`, i); line != want {
			p.t.Fatalf("record %d: %s", i, line)
		}
	}
}
