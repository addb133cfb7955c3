package capture_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/testkit"
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
	defer func() {
		if a.t.Failed() {
			a.t.Logf("the least was %+v, now it is %+v", low, use(a.t, engine))
			_ = pprof.Lookup("goroutine").WriteTo(a.t.Output(), 1)
		}
	}()
	a.waitFor(fmt.Sprintf("resources to be those of before, %+v", before), func() bool {
		a.col.API().CloseIdle()
		low = low.least(use(a.t, engine))
		return low.fds <= before.fds && low.goroutines <= before.goroutines && low.engineFDs <= before.engineFDs+idle && low.threads <= before.threads+blocked
	})
	a.t.Logf("before %+v, after %+v", before, low)
}

// settled is the least that the agent uses when its streams are in place: it asks
// the Engine now and then.
func (a *agent) settled(engine int) resources {
	a.t.Helper()
	low := use(a.t, engine)
	for range 25 {
		time.Sleep(20 * time.Millisecond) // for idle connections and goroutines to end
		a.col.API().CloseIdle()
		low = low.least(use(a.t, engine))
	}
	return low
}

// least is the least that is used while streams are rotated all the time: what
// is in the middle of a rotation uses more.
func (a *agent) least(engine int, rotations int) resources {
	a.t.Helper()
	low := use(a.t, engine)
	for end := a.rotations() + rotations; a.rotations() < end; {
		a.col.API().CloseIdle()
		low = low.least(use(a.t, engine))
	}
	return low
}

// turnFast rotates all the time.
func turnFast(c *capture.Config) { c.RotateInterval, c.RotationLogLevel = 10*time.Millisecond, "off" }

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
		pid := testkit.EnginePID(t, e.Host)
		label := fmt.Sprint(time.Now().UnixNano())
		a := startAgent(t, e.Host, map[string]string{"Include": "label.leak=" + label, "Reader": "follow"}, turnFast, func(c *capture.Config) { c.RotateInterval = 50 * time.Millisecond })
		a.connected()
		for range streams {
			e.Run(t, enginetest.Options{Labels: map[string]string{"leak": label}, Args: []string{"-lines", "100000000", "-rate", "20"}})
		}
		a.waitFor("all streams", func() bool { return a.running() == streams })
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
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *capture.Config) { c.RotateInterval = time.Hour })
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
	t.Logf("%v streams were silent", a.col.Totals().Stalls)
}
