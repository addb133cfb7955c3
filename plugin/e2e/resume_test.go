package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

// times is how often a test does its harm: the number of the environment variable name, else few, so that a whole run of
// the tests stays short.
func times(t *testing.T, name string, few int) int {
	v := os.Getenv(name)
	if v == "" {
		return few
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, not a number", name, v)
	}
	return n
}

// resuming is an [INPUT] section that keeps its positions in a file.
func resuming(t *testing.T, e *enginetest.Engine, name string) options {
	in := input(e, name)
	in["DB"] = filepath.Join(t.TempDir(), "positions.json")
	return in
}

// producer writes on both std streams until it is stopped: LOAD lines a second in all. 20000 is the full number, for one
// test at a time (-parallel 1): two cores with two Engines on them do not take four times as much.
func producer(t *testing.T, e *enginetest.Engine, name string) *enginetest.Container {
	rate := times(t, "LOAD", 1000) / 2
	return e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=100000000", fmt.Sprint("-rate=", rate), "-size=100"}})
}

// TestTerminated: the agent is ended in order and started again, under load. RESTARTS=20 is the full number.
func TestTerminated(t *testing.T) {
	n := times(t, "RESTARTS", 3)
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("terminated")
		s := setup{inputs: []options{resuming(t, e, name)}}
		c := producer(t, e, name)
		p := start(t, a, s)
		for range n {
			p.awaitMore(c.ID, 500)
			p = p.again(syscall.SIGTERM, s)
		}
		c.Stop()
		t.Logf("%s: %d restarts, %d lines", a, n, complete(t, p, c))
	})
}

// TestKilled: the agent is killed under load. With its chunks on disk nothing is missing; doubled is at most what was in
// chunks that were not yet known to be safe or not yet flushed. KILLS=10 is the full number. The host keeps no chunks on
// disk, so this is for Fluent Bit alone.
func TestKilled(t *testing.T) {
	n := times(t, "KILLS", 3)
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		if _, ok := a.(host); ok {
			t.Skip("the host keeps no chunks on disk, so what it holds when it is killed is lost")
		}
		name := unique("killed")
		s := setup{inputs: []options{resuming(t, e, name)}, storage: t.TempDir()}
		s.inputs[0]["DB_Sync"] = "100ms"
		c := producer(t, e, name)
		p := start(t, a, s)
		for range n {
			p.awaitMore(c.ID, 1500)
			p = p.again(syscall.SIGKILL, s)
		}
		c.Stop()
		want, _ := wanted(c)
		p.awaitDistinct(c.ID, len(want)) // doubles count for nothing
		missing, doubled := 0, 0
		for _, v := range Compare(want, arrived(p.stopTorn(), "docker")) {
			missing += v.Missing.Count
			doubled += v.Doubled.Count
			if v.Missing.Count+v.Foreign.Count+v.Mistimed.Count > 0 {
				t.Error(v)
			}
		}
		t.Logf("%s: %d kills, %d lines, %d missing, %d doubled", a, n, len(want), missing, doubled)
		// At a kill what is in chunks is not in DB yet for the time of an acknowledgement (0.1 s) and of DB_Sync (0.1 s),
		// and the chunks of one Flush (0.2 s) may be half way into the file: at 20,000 lines a second and with room for
		// a busy machine.
		if most := n * 20000; doubled > most {
			t.Errorf("%d lines doubled, more than the %d that were in flight", doubled, most)
		}
	})
}

// awaitDistinct waits until the sink has n different lines of a container.
func (p *process) awaitDistinct(id string, n int) {
	p.t.Helper()
	ctx, cancel := p.whileItComes()
	defer cancel()
	seen, next := map[string]bool{}, 0
	p.await(ctx, func() bool {
		for ; next < len(p.records); next++ {
			if r := p.records[next]; r.text("container_id") == id {
				seen[r.text("stream")+r.text("log")] = true
			}
		}
		return len(seen) >= n
	})
}

// stopTorn is stop where a killed agent may have left half a line in the output.
func (p *process) stopTorn() []record {
	p.t.Helper()
	p.end(syscall.SIGTERM)
	ctx, cancel := p.whileItComes()
	defer cancel()
	_ = p.finish(ctx)
	return p.records
}

// TestContainerRestarts: a container is restarted again and again while it writes. CONTAINER_RESTARTS=50 is the full
// number.
func TestContainerRestarts(t *testing.T) {
	n := times(t, "CONTAINER_RESTARTS", 5)
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("restarted")
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=100000000", "-rate=2000", "-size=100", "-long=40000", "-every=50"}})
		p := start(t, a, setup{inputs: []options{input(e, name)}})
		for range n {
			p.awaitMore(c.ID)
			c.Kill("SIGKILL") // in the middle of a line, if it comes so
			c.Wait()
			c.Start()
		}
		c.Stop()
		t.Logf("%s: %d restarts of the container, %d lines", a, n, complete(t, p, c))
	})
}

// TestEngineRestarts: the Engine is restarted while containers write; they are stopped with it and started again.
// ENGINE_RESTARTS=5 is the full number.
func TestEngineRestarts(t *testing.T) {
	n := times(t, "ENGINE_RESTARTS", 1)
	eachAgent(t, func(t *testing.T, a agent) {
		own := enginetest.Own(t)
		name := unique("engine")
		p := start(t, a, setup{inputs: []options{resuming(t, own.Engine, name)}})
		c := own.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=100000000", "-rate=2000", "-size=100"}})
		for range n {
			p.awaitMore(c.ID)
			own.Restart(t)
			c.Start()
		}
		p.awaitMore(c.ID)
		c.Stop()
		t.Logf("%s: %d restarts of the Engine, %d lines", a, n, complete(t, p, c))
	})
}
