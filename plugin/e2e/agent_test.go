package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// limit bounds every wait of a test.
const limit = 2 * time.Minute

// options are the keys of one [INPUT] section.
type options map[string]string

// setup says how an agent is to run.
type setup struct {
	inputs      []options
	memBufLimit string   // of each input, e.g. 5M
	slow        int64    // bytes per second that the output takes; 0 is unlimited
	unthreaded  bool     // Threaded Off
	daemon      bool     // Daemon On
	logFile     string   // Log_File, for a daemon, which has no standard error
	storage     string   // storage.path: chunks are kept on disk, and outlive the process
	http        string   // host:port of the agent's own endpoint, where it has one
	faults      []string // arguments for the host alone, see flbhost -h
}

// agent is a program that loads the plugin.
type agent interface {
	fmt.Stringer
	// command returns the program for a setup that writes its records to out. Configuration goes to dir.
	command(dir, out string, s setup) (*exec.Cmd, error)
	// help returns the program that lists the plugin's options.
	help() *exec.Cmd
	// ready and reloaded match a line of standard error that says so; paused, that an input reached its limit.
	ready() *regexp.Regexp
	reloaded() *regexp.Regexp
	paused() *regexp.Regexp
}

// process is a running agent and its output.
type process struct {
	*sink
	t      testing.TB
	agent  agent
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{} // closed after the process was waited for and its output read

	logMu   sync.Mutex
	lines   []string      // of standard error
	changed chan struct{} // closed and replaced at each line
}

// launch starts an agent without waiting for it; it is killed when the test ends.
func launch(t testing.TB, a agent, s setup) *process {
	t.Helper()
	rate := s.slow
	if _, ok := a.(host); ok {
		rate = 0 // the host slows its output by itself
	}
	return launchInto(t, newSink(t, rate), a, s)
}

// launchInto is launch with a sink that other agents have written to before.
func launchInto(t testing.TB, into *sink, a agent, s setup) *process {
	t.Helper()
	for _, in := range s.inputs {
		if in["Reader"] == "" && in["Docker_Host"] != "" {
			in["Reader"] = readerFor(a, in["Docker_Host"])
		}
	}
	p := &process{sink: into, t: t, agent: a, exited: make(chan struct{}), changed: make(chan struct{})}
	var err error
	if p.cmd, err = a.command(t.TempDir(), p.path, s); err != nil {
		t.Fatal(err)
	}
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr, p.cmd.Stdout = w, w
	// The host stops at the end of its standard input.
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	go p.follow(stderr)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = stdin.Close()
		<-p.exited
		if t.Failed() {
			p.logMu.Lock()
			defer p.logMu.Unlock()
			t.Logf("%s said:\n%s", a, strings.Join(tail(p.lines, 60), "\n"))
		}
	})
	return p
}

// readerFor spreads the readers over agents and Engines, so that every test meets each of them, also where only one agent
// or one Engine is there.
func readerFor(a agent, engine string) string {
	_, isHost := a.(host)
	if isHost == strings.Contains(engine, "/29/") {
		return "follow"
	}
	return "auto"
}

func tail(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

func (p *process) follow(stderr io.ReadCloser) {
	defer close(p.exited)
	scan := bufio.NewScanner(stderr)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		p.logMu.Lock()
		p.lines = append(p.lines, scan.Text())
		close(p.changed)
		p.changed = make(chan struct{})
		p.logMu.Unlock()
	}
	_ = stderr.Close()
	_ = p.cmd.Wait()
}

// start runs an agent and returns once its inputs run.
func start(t testing.TB, a agent, s setup) *process {
	t.Helper()
	p := launch(t, a, s)
	p.awaitLog(a.ready(), 1)
	return p
}

// count returns how many lines of standard error matched so far.
func (p *process) count(pattern *regexp.Regexp) int {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	n := 0
	for _, l := range p.lines {
		if pattern.MatchString(l) {
			n++
		}
	}
	return n
}

// awaitLog waits until standard error has n lines that match.
func (p *process) awaitLog(pattern *regexp.Regexp, n int) {
	p.t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		p.logMu.Lock()
		changed := p.changed
		p.logMu.Unlock()
		if p.count(pattern) >= n {
			return
		}
		select {
		case <-changed:
		case <-p.exited:
			if p.count(pattern) < n {
				p.t.Fatalf("%s ended (%v) and said %q fewer than %d times", p.agent, p.cmd.ProcessState, pattern, n)
			}
		case <-timeout.C:
			p.t.Fatalf("%s said %q fewer than %d times in %v", p.agent, pattern, n, limit)
		}
	}
}

// reload makes the agent load its configuration again and returns once the new inputs run.
func (p *process) reload() {
	p.t.Helper()
	n := p.count(p.agent.reloaded())
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	p.awaitLog(p.agent.reloaded(), n+1)
}

// setRate changes how many bytes a second the output takes.
func (p *process) setRate(rate int64) {
	p.t.Helper()
	if _, ok := p.agent.(host); !ok {
		p.rate.Store(rate)
		return
	}
	if _, err := fmt.Fprintln(p.stdin, "slow", rate); err != nil {
		p.t.Fatal(err)
	}
	p.awaitLog(regexp.MustCompile(fmt.Sprintf(`^\[host\] ok slow %d$`, rate)), 1)
}

// awaitRecords waits until the sink has n records of each container; what is short is said by the comparison later.
func (p *process) awaitRecords(n map[string]int) {
	p.t.Helper()
	ctx, cancel := p.whileItComes()
	defer cancel()
	if !p.await(ctx, func() bool {
		for id, want := range n {
			if p.byID[id] < want {
				return false
			}
		}
		return true
	}) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Errorf("no record came for %v, the records per container are %v, want %v", limit, p.byID, n)
	}
}

// stop ends the agent in order and returns every record that it wrote. Nothing can come after that.
func (p *process) stop() []record {
	p.t.Helper()
	p.end(syscall.SIGTERM)
	if status := p.cmd.ProcessState; !status.Success() {
		p.t.Errorf("%s ended with %v", p.agent, status)
	}
	ctx, cancel := p.whileItComes()
	defer cancel()
	if err := p.finish(ctx); err != nil {
		p.t.Fatal(err)
	}
	return p.records
}

// end sends the agent a signal that ends it and waits until it has.
func (p *process) end(sig syscall.Signal) {
	p.t.Helper()
	ctx, cancel := p.whileItComes()
	defer cancel()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	if !p.wait(ctx) {
		p.t.Fatalf("%s does not end after %[3]v, no record came for %[2]v", p.agent, limit, sig)
	}
}

// again ends the agent with a signal and starts another in its place.
func (p *process) again(sig syscall.Signal, s setup) *process {
	p.t.Helper()
	p.end(sig)
	if sig == syscall.SIGKILL { // half a line must not spoil the next agent's first one
		if _, err := p.pipe.WriteString("\n"); err != nil {
			p.t.Error(err)
		}
	}
	next := launchInto(p.t, p.sink, p.agent, s)
	next.awaitLog(next.agent.ready(), 1)
	return next
}

func (p *process) wait(ctx context.Context) bool {
	select {
	case <-p.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

// refused runs an agent that must not start and returns what it said.
func refused(t testing.TB, a agent, s setup) string {
	t.Helper()
	p := launch(t, a, s)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if !p.wait(ctx) {
		t.Fatalf("%s runs with %v", a, s.inputs)
	}
	// Before 4.0.3 Fluent Bit has to be told to stop, which is no failure.
	if bin, ok := a.(fluentBit); p.cmd.ProcessState.ExitCode() <= 0 && (!ok || bin.version.since(4, 0, 3)) {
		t.Errorf("%s ended with %v, want a failure of its own", a, p.cmd.ProcessState)
	}
	return strings.Join(p.lines, "\n")
}
