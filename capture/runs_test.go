package capture_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// job is a container that runs for milliseconds, again and again.
type job struct {
	c    *dockertest.Ctr
	want []string
}

// run lets it write lines and end, before anybody can have looked at it.
func (j *job) run(lines int) {
	n := len(j.want)
	j.want = append(j.want, sequence("out", n, n+lines)...)
	j.c.Start()
	j.c.Stdout(j.want[n:]...)
	j.c.Die(0)
}

func (j *job) check(t *testing.T, a *agent) {
	t.Helper()
	a.waitTexts(j.c.ID, "", len(j.want))
	checkSequence(t, j.c.Name(), j.want, a.texts(j.c.ID, ""))
}

// idle waits until no stream runs.
func (a *agent) idle() {
	a.t.Helper()
	a.waitFor("the streams to end", func() bool { return a.running() == 0 })
}

// 1,000 runs of 20 containers, most of which are over before they are looked at.
func testShortRuns(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, nil)
	a.connected()
	jobs := make([]*job, 20)
	for i := range jobs {
		jobs[i] = &job{c: r.create(t, e, dockertest.Container{Name: fmt.Sprint("job-", i)})}
	}
	for round := range 50 {
		for _, j := range jobs {
			j.run(10)
		}
		if round%5 == 0 {
			for _, j := range jobs {
				a.waitTexts(j.c.ID, "", len(j.want))
			}
			a.idle()
		}
	}
	for _, j := range jobs {
		j.check(t, a)
	}
}

// Runs of which no event tells: the list does, after a reconnect, after a
// restart from DB and at a resync. One that was read is not read again.
func testShortRunsUnannounced(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := map[string]string{"Resync_Interval": "1s", "DB": filepath.Join(t.TempDir(), "db.json")}
	a := r.agent(t, e, opts)
	a.connected()
	before := &job{c: r.create(t, e, dockertest.Container{Name: "job"})}
	before.run(10)
	before.check(t, a)
	a.idle()

	e.Down()
	before.run(10)
	must(t, e.Up())
	before.check(t, a)

	a.stop()
	before.want = nil
	for range 3 {
		n := len(before.want)
		lines := sequence("down", n, n+10)
		before.want = append(before.want, lines...)
		before.c.Start()
		before.c.Stdout(lines...)
		before.c.Die(1)
	}
	a = r.agent(t, e, opts)
	before.check(t, a)
	a.idle()

	e.DropEvents(-1)
	before.want = append(before.want, "unannounced")
	before.c.Start()
	before.c.Stdout("unannounced")
	before.c.Die(0)
	before.check(t, a)
	a.idle()

	asked := len(before.c.LogQueries())
	must(t, e.WaitRequests(testContext(t), dockertest.List, e.Requests(dockertest.List)+3))
	if n := len(before.c.LogQueries()) - asked; n != 0 {
		t.Errorf("the log of a stopped container without news was asked for %d times", n)
	}
}

// After a reconnect the containers that had stopped are looked at, a bounded
// number of them at a time.
func TestLooksAreBounded(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil)
	a.connected()
	const maxLooks = 64 // at the same time
	jobs := make([]*job, 3*maxLooks)
	for i := range jobs {
		jobs[i] = &job{c: e.Create(dockertest.Container{})}
		jobs[i].run(1)
	}
	for _, j := range jobs {
		j.check(t, a)
	}
	a.idle()
	before := e.Requests(dockertest.Inspect)
	e.Down()
	undo := e.Override(dockertest.Inspect, nil, dockertest.Answer{Hang: true})
	must(t, e.Up())
	must(t, e.WaitRequests(testContext(t), dockertest.Inspect, before+maxLooks))
	lists := e.Requests(dockertest.List)
	for _, j := range jobs {
		j.c.Start()
	}
	must(t, e.WaitRequests(testContext(t), dockertest.List, lists+1)) // the second look
	if n := e.Requests(dockertest.Inspect) - before; n > maxLooks {
		t.Errorf("%d containers are inspected at the same time", n)
	}
	undo()
	for _, j := range jobs {
		j.want = append(j.want, "again")
		j.c.Stdout("again")
		j.c.Stop()
	}
	for _, j := range jobs {
		j.check(t, a)
	}
}
