package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
)

// TestReload: ten hot reloads under load leave the process as it was, and no line of a container that is started under
// one generation of inputs, or of one that writes all the time, is lost or doubled.
func TestReload(t *testing.T) {
	const reloads = 10
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("reload")
		in := input(e, name+"-*")
		in["DB"] = filepath.Join(t.TempDir(), "positions.json")
		in["Log_Level"] = "debug" // says how many goroutines there are when an input is opened
		load := e.Run(t, enginetest.Options{Name: name + "-load", Args: []string{"-std=both", "-lines=1000000", "-rate=200", "-size=100"}})
		p := start(t, a, setup{inputs: []options{in}})
		p.awaitMore(load.ID)

		var want []Line
		generation := func(i int) {
			c := e.Run(t, enginetest.Options{Name: fmt.Sprint(name, "-", i), Args: []string{"-std=both", "-lines=500", "-size=100"}})
			c.Wait()
			lines, counts := wanted(c)
			p.awaitRecords(counts)
			want = append(want, lines...)
		}
		// The first reload makes what lives as long as the process, e.g. Go's own threads.
		p.reload()
		p.awaitMore(load.ID)
		generation(0)
		before := p.usage()
		for i := 1; i <= reloads; i++ {
			p.reload()
			p.awaitMore(load.ID)
			generation(i)
		}
		p.checkUsage(before, reloads)
		p.checkGoroutines(reloads)
		load.Stop()
		all, counts := wanted(load)
		p.awaitRecords(counts)
		for _, v := range Compare(append(all, want...), arrived(p.stop(), "docker")) {
			if !v.OK() {
				t.Error(v)
			}
		}
	})
}

// checkUsage wants the process to hold what it held before.
func (p *process) checkUsage(before usage, reloads int) {
	p.t.Helper()
	var after usage
	// An idle connection may come or go, and the old inputs' may still be closing; a leak would be one per reload, and stay.
	const fds = 3
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		after = p.usage()
		if after.fds <= before.fds+fds || time.Now().After(deadline) {
			break
		}
	}
	p.t.Logf("%s: FDs %d -> %d, threads %d -> %d over %d reloads", p.agent, before.fds, after.fds, before.threads, after.threads, reloads)
	if after.fds > before.fds+fds {
		p.t.Errorf("%d FDs, %d before %d reloads\nbefore %v\nafter  %v", after.fds, before.fds, reloads, before.open, after.open)
	}
	// Go's scheduler may need a few threads more at any time, and keeps them; a leak would be one per reload.
	if slack := reloads - 2; after.threads > before.threads+slack {
		p.t.Errorf("%d threads, %d before %d reloads", after.threads, before.threads, reloads)
	}
}

var openedLine = regexp.MustCompile(`\] opened .*goroutines=(\d+)`)

// checkGoroutines wants the last generations of inputs to find about as many goroutines as the first did.
func (p *process) checkGoroutines(reloads int) {
	p.t.Helper()
	p.logMu.Lock()
	defer p.logMu.Unlock()
	var n []int
	for _, l := range p.lines {
		if m := openedLine.FindStringSubmatch(l); m != nil {
			count, err := strconv.Atoi(m[1])
			if err != nil {
				p.t.Fatal(err)
			}
			n = append(n, count)
		}
	}
	if len(n) < reloads+2 {
		p.t.Fatalf("%d inputs opened, want %d", len(n), reloads+2)
	}
	p.t.Logf("%s: goroutines at each opening: %d", p.agent, n)
	// Those of connections that are just closing may still be there; a leak would be one per reload, and stay.
	if least := slices.Min(n[len(n)-3:]); least > slices.Max(n[1:4])+reloads/3 {
		p.t.Errorf("goroutines are %d over the reloads", n)
	}
}

// awaitMore waits for more records of a container than there are now: one, or so many.
func (p *process) awaitMore(id string, more ...int) {
	p.t.Helper()
	p.mu.Lock()
	n := p.byID[id]
	p.mu.Unlock()
	p.awaitRecords(map[string]int{id: n + append(more, 1)[0]})
}

// usage is what a process holds.
type usage struct {
	fds, threads int
	open         map[string]int // kind of file -> number
}

func (p *process) usage() usage {
	p.t.Helper()
	dir := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		p.t.Fatal(err)
	}
	tasks, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		p.t.Fatal(err)
	}
	u := usage{threads: len(tasks), open: map[string]int{}}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, "fd", fd.Name()))
		if err != nil || target == p.path {
			continue // closed since; or the output, which Fluent Bit opens for each flush
		}
		kind, _, _ := strings.Cut(target, ":[")
		u.fds++
		u.open[kind]++
	}
	return u
}

// TestPressure: a slow output fills Mem_Buf_Limit again and again; the pauses lose nothing, and a long one with records in
// the ring is not taken for a refusal.
func TestPressure(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("pressure")
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=15000", "-size=400", "-hold"}})
		awaitWritten(t, c, 30000)
		p := start(t, a, setup{inputs: []options{input(e, name)}, memBufLimit: "2M", slow: 64 << 10})
		p.awaitLog(a.paused(), 1)
		time.Sleep(8 * time.Second) // longer than what is taken for a refusal
		p.setRate(8 << 20)
		want, counts := wanted(c)
		p.awaitRecords(counts)
		records := p.stop()
		exact(t, want, arrived(records, "docker"))
		if n := p.count(regexp.MustCompile(`Fluent Bit keeps nothing`)); n > 0 {
			t.Errorf("a pause was taken for a refusal, %d times", n)
		}
	})
}

// TestReloadWhileAnOutputIsAway: hot reloads end although an output is away that is tried for ever, capture goes on after
// each of them, and nothing is lost or, chunks being files, comes twice.
func TestReloadWhileAnOutputIsAway(t *testing.T) {
	const reloads, part = 3, 1000
	k := newTaker(t)
	k.refuses.Store(true)
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	listen := freeAddress(t)
	r := newConfigured(t, needFluentBit(t), `
service: {flush: 0.2, grace: 2, hot_reload: on, hot_reload.ensure_thread_safety: off, storage.path: st, scheduler.base: 1, scheduler.cap: 2}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: `+k.port+`, format: json, retry_limit: no_limits}
`, "0")
	r.start()
	began := 0.0
	for i := range reloads + 1 {
		if i > 0 {
			if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, limit, fmt.Sprint("the end of reload ", i), func() bool {
			return metric(t, listen, "log_capturer_start_time_seconds") > began
		})
		began = metric(t, listen, "log_capturer_start_time_seconds")
		for k := range part {
			c.Stdout(fmt.Sprintf("SEQ=%08d", i*part+k))
		}
		eventually(t, limit, fmt.Sprint("what was written after reload ", i), func() bool {
			return metric(t, listen, "log_capturer_acked_records_total") == part // of each generation
		})
	}
	k.refuses.Store(false)
	o := settled(t, (reloads+1)*part, false, k.texts)
	_ = r.end(syscall.SIGTERM)
	if o = counted(o.of, false, k.texts()...); o.missing+o.doubled > 0 {
		t.Errorf("%v; %s", o, o.first)
	}
}
