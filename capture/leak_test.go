package capture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/docker/enginetest"
)

// resources is what must not grow.
type resources struct{ fds, goroutines, threads, engineFDs int }

// use counts this process's resources, and the descriptors of another one if
// that is given.
func use(t *testing.T, engine int) (r resources) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	r = resources{fds: processFDs(), goroutines: runtime.NumGoroutine(), threads: len(tasks)}
	if engine != 0 {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", engine))
		must(t, err)
		r.engineFDs = len(fds)
	}
	return r
}

// least is the least of each.
func (r resources) least(o resources) resources {
	return resources{min(r.fds, o.fds), min(r.goroutines, o.goroutines), min(r.threads, o.threads), min(r.engineFDs, o.engineFDs)}
}

// sameUse waits until of each resource no more is used than before: what leaks
// never comes down again, while what is in the middle of a rotation does, but
// not everything at the same moment. Threads are the Go runtime's, which keeps
// those that it needed once: on a busy machine as many as calls that block.
func (a *agent) sameUse(before resources, engine int) {
	a.t.Helper()
	const idle = 4     // connections that wait to be used again, each with two goroutines
	const blocked = 32 // threads
	low := use(a.t, engine)
	a.waitFor(fmt.Sprintf("resources to be those of before, %+v", before), func() bool {
		a.col.api.CloseIdle()
		low = low.least(use(a.t, engine))
		return low.fds <= before.fds && low.goroutines <= before.goroutines && low.engineFDs <= before.engineFDs+idle && low.threads <= before.threads+blocked
	})
	a.t.Logf("before %+v, after %+v", before, low)
}

// settled is what the agent uses when its streams are in place.
func (a *agent) settled(engine int) resources {
	a.t.Helper()
	last := use(a.t, engine)
	for stable := 0; stable < 5; {
		time.Sleep(20 * time.Millisecond) // for idle connections and goroutines to end
		a.col.api.CloseIdle()
		now := use(a.t, engine)
		if stable++; now != last {
			stable = 0
		}
		last = now
	}
	return last
}

// least is the least that is used while streams are rotated all the time: what
// is in the middle of a rotation uses more.
func (a *agent) least(engine int, rotations int) resources {
	a.t.Helper()
	low := use(a.t, engine)
	for end := a.rotations() + rotations; a.rotations() < end; {
		a.col.api.CloseIdle()
		low = low.least(use(a.t, engine))
	}
	return low
}

// turnFast rotates all the time.
func turnFast(c *Config) { c.RotateInterval, c.RotationLogLevel = 10*time.Millisecond, "off" }

// waitRotations waits for so many, as long as they go on.
func (a *agent) waitRotations(n int) {
	a.t.Helper()
	for seen := 0; seen < n; {
		a.waitFor("more rotations", func() bool { return a.rotations() > seen })
		seen = a.rotations()
	}
}

// After many rotations of 8 streams nothing is left behind. ROTATIONS=10000 is
// the full number.
func TestRotationsLeakNothing(t *testing.T) {
	const streams = 8
	rotations := fromEnv(t, "ROTATIONS", 2_000)
	for _, r := range []readerCase{{name: "follow"}, {name: "file", file: true}} {
		t.Run(r.name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := startAgent(t, e.Host(), map[string]string{"Reader": r.name}, turnFast)
			a.connected()
			var cs []*dockertest.Ctr
			for range streams {
				c := r.run(t, e, dockertest.Container{})
				c.Stdout("first")
				cs = append(cs, c)
			}
			a.waitRecords(streams)
			before := a.least(0, rotations/100)
			for i := 0; a.rotations() < rotations; i++ {
				for _, c := range cs {
					c.Stdout(fmt.Sprint("line ", i))
				}
				a.waitRecords(streams * (i + 2))
			}
			a.sameUse(before, 0)
		})
	}
}

// The same on real Engines, whose descriptors are counted too.
func TestEngineRotationsLeakNothing(t *testing.T) {
	const streams = 8
	rotations := fromEnv(t, "ROTATIONS", 2_000)
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		pid := enginePID(t, e.Host)
		label := fmt.Sprint(time.Now().UnixNano())
		a := startAgent(t, e.Host, map[string]string{"Include": "label.leak=" + label, "Reader": "follow"}, turnFast, func(c *Config) { c.RotateInterval = 50 * time.Millisecond })
		a.connected()
		for range streams {
			e.Run(t, enginetest.Options{Labels: map[string]string{"leak": label}, Args: []string{"-lines", "100000000", "-rate", "20"}})
		}
		a.waitFor("all streams", func() bool { return a.col.runningCount() == streams })
		a.waitRecords(10 * streams)
		before := a.least(pid, 100)
		a.waitRotations(rotations)
		a.sameUse(before, pid)
		ids := map[string]bool{}
		for _, r := range a.waitRecords(0) {
			ids[r.Fields["container_id"]] = true
		}
		for id := range ids {
			lines := a.texts(id, "")
			numbered(t, "stdout", len(lines), lines)
		}
	})
}

// After 1,000 streams that were cut, ended, silent or started again nothing is
// left behind, and each line came once.
func TestFaultsLeakNothing(t *testing.T) {
	const streams, rounds = 8, 125
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *Config) { c.RotateInterval = time.Hour })
	a.connected()
	var cs []*dockertest.Ctr
	for range streams {
		c := e.Run(dockertest.Container{})
		c.Stdout("line 0")
		cs = append(cs, c)
	}
	a.waitRecords(streams)
	must(t, e.WaitFollowers(testContext(t), streams))
	before := a.settled(0)
	for i := range rounds {
		for _, c := range cs {
			switch i % 5 {
			case 0:
				c.CutFollowers()
			case 1:
				c.EndFollowers()
			case 2:
				c.Silence(0)
			case 3:
				c.Restart()
			case 4:
				c.Inject([]byte("\xff\xfe garbage that is no frame"))
			}
			c.Stdout(fmt.Sprint("line ", i+1))
		}
		a.waitRecords(streams * (i + 2))
	}
	must(t, e.WaitFollowers(testContext(t), streams))
	a.sameUse(before, 0)
	for _, c := range cs {
		checkSequence(t, c.Name(), sequence("line", 0, rounds+1), a.texts(c.ID, ""))
	}
	t.Logf("%v streams were silent", testutil.ToFloat64(a.col.metrics.stalls))
}

// Whatever ends the reading of a log, its body is closed: no connection and no
// goroutine stays.
func TestNoBodyIsLost(t *testing.T) {
	stop := errors.New("stop")
	for name, read := range map[string]func(t *testing.T, e *dockertest.Engine, c *dockertest.Ctr, s *stream) error{
		"the end of the log": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			return newReaders(s.col).follow.read(t.Context(), s, false)
		},
		"garbage": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				c.Inject([]byte("\xff\xfe garbage that is no frame"))
			}()
			return newReaders(s.col).follow.read(t.Context(), s, true)
		},
		"an error of the Engine's": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				c.SystemErr("disk on fire")
			}()
			return newReaders(s.col).follow.read(t.Context(), s, true)
		},
		"an answer that is an error": func(t *testing.T, e *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			defer e.Override(dockertest.Logs, c, dockertest.Answer{Status: http.StatusInternalServerError, Body: make([]byte, 1<<20)})()
			return newReaders(s.col).follow.read(t.Context(), s, true)
		},
		"cancelled while reading": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				cancel(stop)
			}()
			return newReaders(s.col).follow.read(ctx, s, true)
		},
		"cancelled before the answer": func(t *testing.T, e *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			release := e.Hang()
			defer release()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, stop)
			defer cancel()
			return newReaders(s.col).follow.read(ctx, s, true)
		},
		"too short a tail": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			s.col.out.Lock()
			s.pos = position.Position{Kind: position.FromTime, TS: 1}
			s.col.out.Unlock()
			c.Stdout(sequence("more", 0, 5000)...)
			return newReaders(s.col).follow.read(t.Context(), s, false)
		},
		"a panic": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			f := newReaders(s.col).follow
			return supervise.Catch(func() error {
				log, err := f.request(t.Context(), s, false, position.Everything, &position.Position{})
				must(t, err)
				defer log.close()
				panic("in the middle")
			})
		},
		"opened for a rotation that did not come": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			f := newReaders(s.col).follow
			must(t, f.read(t.Context(), s, false))
			return f.rotate(t.Context(), s) // nothing is followed
		},
		"a probe": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			_, err := newReaders(s.col).follow.behind(t.Context(), s)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockertest.Start(t)
			c := e.Run(dockertest.Container{Name: "web"})
			c.Stdout(sequence("out", 0, 2000)...)
			a := startAgent(t, e.Host(), map[string]string{"Include": "name=nothing"})
			a.connected()
			s := newStream(a.col, &container.Container{ID: c.ID, Name: "web"}, position.Position{})
			before := a.settled(0)
			connections := a.col.api.Connections()
			for range 5 {
				t.Logf("ended by: %v", read(t, e, c, s))
				must(t, c.WaitFollowers(testContext(t), 0))
			}
			a.sameUse(before, 0)
			if n := a.col.api.Connections(); n > connections {
				t.Errorf("%d connections are open, %d were before", n, connections)
			}
		})
	}
}
