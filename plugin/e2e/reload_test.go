package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"testing"
	"time"

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
	// The old inputs' connections may still be closing.
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		after = p.usage()
		if after.fds <= before.fds && after.threads <= before.threads || time.Now().After(deadline) {
			break
		}
	}
	p.t.Logf("%s: FDs %d -> %d, threads %d -> %d over %d reloads", p.agent, before.fds, after.fds, before.threads, after.threads, reloads)
	if slack := 3; after.fds > before.fds+slack { // an idle connection may come or go; a leak would be one per reload
		p.t.Errorf("%d FDs, %d before %d reloads\nbefore %v\nafter  %v", after.fds, before.fds, reloads, before.open, after.open)
	}
	// Go's scheduler may need a few threads more at any time; a leak would be one per reload.
	if slack := 4; after.threads > before.threads+slack {
		p.t.Errorf("%d threads, %d before %d reloads", after.threads, before.threads, reloads)
	}
}

var openedLine = regexp.MustCompile(`\] opened .*goroutines=(\d+)`)

// checkGoroutines wants the last generations of inputs to find as many goroutines as the second did.
func (p *process) checkGoroutines(reloads int) {
	p.t.Helper()
	p.logMu.Lock()
	defer p.logMu.Unlock()
	var n []string
	for _, l := range p.lines {
		if m := openedLine.FindStringSubmatch(l); m != nil {
			n = append(n, m[1])
		}
	}
	if len(n) < reloads+2 {
		p.t.Fatalf("%d inputs opened, want %d", len(n), reloads+2)
	}
	p.t.Logf("%s: goroutines at each opening: %s", p.agent, strings.Join(n, " "))
	// Those of a connection that is just closing may still be there; a leak stays.
	if !slices.Contains(n[len(n)-3:], n[1]) {
		p.t.Errorf("goroutines are %q over the reloads", n)
	}
}

// awaitMore waits for one more record of a container than there are now.
func (p *process) awaitMore(id string) {
	p.t.Helper()
	p.mu.Lock()
	n := p.byID[id]
	p.mu.Unlock()
	p.awaitRecords(map[string]int{id: n + 1})
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

// TestPressure: a slow output fills Mem_Buf_Limit again and again; the pauses lose nothing.
func TestPressure(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("pressure")
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=15000", "-size=400", "-hold"}})
		awaitWritten(t, c, 30000)
		p := start(t, a, setup{inputs: []options{input(e, name)}, memBufLimit: "2M", slow: 3 << 20})
		want, counts := wanted(c)
		p.awaitRecords(counts)
		records := p.stop()
		if n := p.count(a.paused()); n == 0 {
			t.Error("the input was never paused, so nothing is proved")
		}
		exact(t, want, arrived(records, "docker"))
	})
}
