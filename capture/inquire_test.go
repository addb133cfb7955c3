package capture_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/stream"
)

// soon are times of discovery that a test does not want to wait for.
func soon(c *capture.Config) {
	c.ResyncInterval = 50 * time.Millisecond
	c.SetCallTimeout(300 * time.Millisecond)
}

// waitResyncs waits for n lists that are asked for from now on.
func (a *agent) waitResyncs(e *dockertest.Engine, n int) {
	a.t.Helper()
	must(a.t, e.WaitRequests(testContext(a.t), dockertest.List, e.Requests(dockertest.List)+n+1))
}

// An inspect that hangs concerns its container, at the start and later.
func TestHangingInspectConcernsOneContainer(t *testing.T) {
	e := dockertest.Start(t)
	var cs []*dockertest.Ctr
	for i := range 5 {
		cs = append(cs, e.Run(dockertest.Container{Name: fmt.Sprint("c", i)}))
	}
	undo := e.Override(dockertest.Inspect, cs[2], dockertest.Answer{Hang: true})
	a := startAgent(t, e.Host(), nil, soon)
	a.connected()
	late := e.Create(dockertest.Container{Name: "late"})
	undoLate := e.Override(dockertest.Inspect, late, dockertest.Answer{Hang: true})
	late.Start()
	a.waitLog("a container could not be inspected, it is tried again\" container=c2")
	a.waitLog("a container could not be inspected, it is tried again\" container=late")
	for i := range 20 { // far more than are asked at a time, one after the other
		c := e.Run(dockertest.Container{Name: fmt.Sprint("short", i), AutoRemove: true})
		c.Stdout("x")
		a.waitTexts(c.ID, "", 1)
		c.Stop()
	}
	for _, c := range append(cs, late) {
		c.Stdout("line")
	}
	for _, i := range []int{0, 1, 3, 4} {
		a.waitTexts(cs[i].ID, "", 1)
	}
	h := a.col.Health()
	if p := strings.Join(h.Problems, "; "); !h.Engine.Reachable || !strings.Contains(p, "2 containers could not be inspected: c2, late") {
		t.Errorf("reachable %v, problems %s", h.Engine.Reachable, p)
	}
	if n := strings.Count(a.log.String(), "could not be inspected, it is tried again\" container=c2"); n != 1 {
		t.Errorf("said %d times", n)
	}
	if strings.Contains(a.log.String(), "the Engine does not answer, it is tried") {
		t.Error("the Engine is taken to be away")
	}
	undo()
	undoLate()
	for _, c := range append(cs, late) {
		a.waitTexts(c.ID, "", 1)
		checkSequence(t, c.Name(), []string{"line"}, a.texts(c.ID, ""))
	}
	a.waitFor("the health", func() bool { return a.col.Health().Ready })
}

// While a list hangs, events are acted on, and it is told.
func TestHangingListHoldsUpNothing(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil, soon)
	a.connected()
	a.waitResyncs(e, 1)
	undo := e.Override(dockertest.List, nil, dockertest.Answer{Hang: true})
	for i := range 20 {
		c := e.Run(dockertest.Container{Name: fmt.Sprint("c", i), AutoRemove: true})
		c.Stdout("line")
		a.waitTexts(c.ID, "", 1)
		c.Stop()
	}
	a.waitLog("listing the containers failed, it is tried again")
	if h := a.col.Health(); h.Ready || !h.Engine.Reachable || !strings.Contains(strings.Join(h.Problems, "; "), "does not list its containers") {
		t.Errorf("%+v", h)
	}
	if n := a.series("log_capturer_discovery_errors_total", "what=list").GetCounter().GetValue(); n == 0 {
		t.Error("it is not counted")
	}
	undo()
	a.waitLog("listing the containers works again")
	if !strings.Contains(a.log.String(), "level=WARN") || !a.col.Health().Ready {
		t.Errorf("problems %q", a.col.Health().Problems)
	}

	// At the start there is nothing without a list, and that is said, too.
	again := e.Override(dockertest.List, nil, dockertest.Answer{Hang: true})
	b := startAgent(t, e.Host(), nil, soon)
	b.waitLog("the Engine does not answer")
	if h := b.col.Health(); h.Ready || h.Engine.Reachable {
		t.Errorf("%+v", h)
	}
	again()
	b.connected()
}

// A tag that is moved to another image ends no capture and begins none: what
// counts is the name that the container was created with.
func TestMovedTag(t *testing.T) {
	e := dockertest.Start(t)
	web := e.Run(dockertest.Container{Name: "web", Image: "app:1"})
	other := e.Run(dockertest.Container{Name: "other", Image: "base:1"})
	in := startAgent(t, e.Host(), map[string]string{"Include": "image=app:*"}, soon)
	ex := startAgent(t, e.Host(), map[string]string{"Exclude": "image=app:*"}, soon)
	in.connected()
	ex.connected()
	web.Stdout("one")
	other.Stdout("one")
	in.waitTexts(web.ID, "", 1)
	ex.waitTexts(other.ID, "", 1)
	web.Untag()
	other.Untag()
	in.waitResyncs(e, 6)
	asked := e.Requests(dockertest.Inspect)
	in.waitResyncs(e, 6)
	if n := e.Requests(dockertest.Inspect) - asked; n != 0 {
		t.Errorf("%d inspects of what is known", n)
	}
	web.Stdout("two")
	other.Stdout("two")
	in.waitTexts(web.ID, "", 2)
	ex.waitTexts(other.ID, "", 2)
	late := startAgent(t, e.Host(), map[string]string{"Include": "image=app:*", "Start_From": "beginning"}, soon)
	late.waitTexts(web.ID, "", 2)
	for _, a := range []*agent{in, late} {
		checkSequence(t, "web", []string{"one", "two"}, a.texts(web.ID, ""))
		checkSequence(t, "other, left out", nil, a.texts(other.ID, ""))
	}
	checkSequence(t, "web, left out", nil, ex.texts(web.ID, ""))
	for _, a := range []*agent{in, ex} {
		if n := a.series("log_capturer_resync_finds_total").GetCounter().GetValue(); n != 0 {
			t.Errorf("%v containers were found that events had announced", n)
		}
	}
}

// Renamed away and back, however long after, a container's capture goes on where
// it was.
func TestRenamedAwayAndBack(t *testing.T) {
	for _, away := range []time.Duration{0, stream.GoneGrace + time.Minute} {
		inVirtualTime(t, map[string]string{"Exclude": "*-old"}, func(t *testing.T, e *dockertest.Engine, a *agent) {
			c := e.Run(dockertest.Container{Name: "web"})
			c.Stdout(sequence("out", 0, 100)...)
			a.waitTexts(c.ID, "", 100)
			c.Rename("web-old")
			a.waitFor("its end", func() bool { return a.running() == 0 })
			time.Sleep(away)
			c.Rename("web")
			c.Stdout(sequence("out", 100, 200)...)
			a.waitTexts(c.ID, "", 200)
			c.Rename("web-old")
			c.Rename("web")
			c.Stdout(sequence("out", 200, 300)...)
			c.Stop()
			a.waitTexts(c.ID, "", 300)
			checkSequence(t, "lines", sequence("out", 0, 300), a.texts(c.ID, ""))
			c.Remove()
			a.waitFor("its end", func() bool { return a.running() == 0 })
			checkSequence(t, "lines", sequence("out", 0, 300), a.texts(c.ID, ""))
		})
	}
}

// What was written while a container was left out is not shipped once it is
// wanted, in the same run or the next.
func TestLeftOutUntilWanted(t *testing.T) {
	e := dockertest.Start(t)
	db := filepath.Join(t.TempDir(), "db")
	a := startAgent(t, e.Host(), map[string]string{"DB": db, "Exclude": "noisy,tmp-*"}, soon)
	a.connected()
	noisy := e.Run(dockertest.Container{Name: "noisy"})
	renamed := e.Run(dockertest.Container{Name: "tmp-web"})
	a.waitFor("both to be known", func() bool {
		saved, err := checkpoint.Peek(db)
		must(t, err)
		return saved != nil && len(saved.Others) == 2
	})
	noisy.Stdout(sequence("excluded", 0, 100)...)
	renamed.Stdout(sequence("excluded", 0, 100)...)
	a.waitResyncs(e, 2)
	renamed.Rename("web")
	renamed.Stdout("one")
	a.waitTexts(renamed.ID, "", 1)
	checkSequence(t, "renamed", []string{"one"}, a.texts(renamed.ID, ""))
	a.stop()
	noisy.Stdout("while nobody reads")
	b := startAgent(t, e.Host(), map[string]string{"DB": db}, soon)
	b.connected()
	noisy.Stdout("one")
	renamed.Stdout("two")
	b.waitTexts(noisy.ID, "", 2)
	b.waitTexts(renamed.ID, "", 1)
	checkSequence(t, "Exclude lifted", []string{"while nobody reads", "one"}, b.texts(noisy.ID, ""))
	checkSequence(t, "renamed", []string{"two"}, b.texts(renamed.ID, ""))
}

// A container that comes while the capture runs is new, also when the clock has
// stepped back.
func TestClockThatStepsBack(t *testing.T) {
	for _, back := range []time.Duration{30 * time.Second, time.Hour} {
		e := dockertest.Start(t, dockertest.WithClock(func() time.Time { return time.Now().Add(-back) }))
		a := startAgent(t, e.Host(), nil)
		a.connected()
		c := e.Run(dockertest.Container{Name: "web"})
		c.Stdout(sequence("out", 0, 10)...)
		a.waitTexts(c.ID, "", 10)
		d := e.Run(dockertest.Container{Name: "short"})
		d.Stdout("a", "b")
		d.Stop()
		a.waitTexts(d.ID, "", 2)
		checkSequence(t, "web", sequence("out", 0, 10), a.texts(c.ID, ""))
		checkSequence(t, "short", []string{"a", "b"}, a.texts(d.ID, ""))
	}
}

// A container that is gone when it is looked at was missed once, however many
// events tell of it.
func TestMissedContainerIsCountedOnce(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil)
	a.connected()
	id := strings.Repeat("0123456789abcdef", 4)
	for range 50 {
		e.Emit(dockertest.Event{Action: "start", ID: id, Attributes: map[string]string{"name": "short"}})
		e.Emit(dockertest.Event{Action: "die", ID: id, Attributes: map[string]string{"name": "short"}})
	}
	e.Run(dockertest.Container{Name: "next"}).Stdout("line")
	a.waitRecords(1)
	a.waitLog("its lines, if any, are lost")
	a.stop()
	if n := a.counted("missed_containers_total"); n != 1 {
		t.Errorf("%v containers were missed", n)
	}
}

// So is one that could not be inspected for as long as it lived.
func TestRemovedBeforeItCouldBeInspected(t *testing.T) {
	e := dockertest.Start(t)
	e.Override(dockertest.Inspect, nil, dockertest.Answer{Status: http.StatusForbidden, Message: "no"})
	early := e.Run(dockertest.Container{Name: "early"})
	a := startAgent(t, e.Host(), nil)
	a.connected()
	late := e.Run(dockertest.Container{Name: "late"})
	never := e.Create(dockertest.Container{Name: "never"})
	for _, c := range []*dockertest.Ctr{early, late, never} {
		a.waitLog("a container could not be inspected, it is tried again\" container=" + c.Name())
		c.Remove()
	}
	a.waitLog("its lines, if any, are lost\" container=early")
	a.waitLog("its lines, if any, are lost\" container=late")
	a.waitFor("the health", func() bool { return a.col.Health().Ready })
	a.stop()
	if n := a.counted("missed_containers_total"); n != 2 {
		t.Errorf("%v containers were missed", n)
	}
}

// What was read and removed before a restart is not missed after it, although the
// Engine tells of it again.
func TestReadBeforeARestartIsNotMissed(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, nil)
	a := startAgent(t, e.Host(), opts)
	a.connected()
	for i := range 3 {
		c := e.Run(dockertest.Container{Name: fmt.Sprint("short-", i), AutoRemove: true})
		c.Stdout("line")
		a.waitRecords(i + 1)
		c.Stop()
	}
	a.stop()
	a = startAgent(t, e.Host(), opts)
	a.connected()
	id := strings.Repeat("0123456789abcdef", 4)
	e.Emit(dockertest.Event{Action: "die", ID: id, Attributes: map[string]string{"name": "short"}}) // it ran, and ended now
	a.waitFor("the container that was missed", func() bool {
		return strings.Contains(a.log.String(), "its lines, if any, are lost\" container=short id="+container.ShortID(id))
	})
	a.stop()
	if n := a.counted("missed_containers_total"); n != 1 {
		t.Errorf("%v containers were missed:\n%s", n, a.log)
	}
}

// A container that was captured and is left out for some runs goes on where it was,
// each line once.
func TestLeftOutInBetween(t *testing.T) {
	e := dockertest.Start(t)
	db := filepath.Join(t.TempDir(), "db")
	c := e.Run(dockertest.Container{Name: "web"})
	var all []string
	run := func(exclude string, writes string, more int) {
		t.Helper()
		a := startAgent(t, e.Host(), map[string]string{"DB": db, "Exclude": exclude}, soon)
		a.connected()
		a.waitResyncs(e, 2)
		c.Stdout(writes)
		a.waitTexts(c.ID, "", more)
		a.stop()
		all = append(all, a.texts(c.ID, "")...)
	}
	run("x", "one", 1)
	run("web", "two", 0)
	run("web", "three", 0)
	run("x", "four", 3)
	run("x", "five", 1)
	checkSequence(t, "lines", []string{"one", "two", "three", "four", "five"}, all)
}

// Far more inspects that hang than are made at a time hold up no other container.
func TestManyHangingInspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := dockertest.New(dockertest.InMemory())
		must(t, e.Serve())
		defer e.Close()
		var undo []func()
		const hanging = 80 // five times as many
		for range hanging {
			undo = append(undo, e.Override(dockertest.Inspect, e.Run(dockertest.Container{}), dockertest.Answer{Hang: true}))
		}
		a := startAgent(t, "unix:///simulated", map[string]string{"Metrics_Listen": "off"}, func(c *capture.Config) { c.SetDial(e.Dial) })
		began := time.Now()
		a.connected()
		c := e.Run(dockertest.Container{})
		c.Stdout("line")
		a.waitRecords(1)
		if d := time.Since(began); d > 12*time.Second {
			t.Errorf("it came after %s", d)
		}
		for _, f := range undo {
			f()
		}
		for _, c := range e.Containers() {
			c.Stdout("now")
		}
		a.waitRecords(2 + hanging)
		a.waitFor("the health", func() bool { return a.col.Health().Ready }, time.Hour)
		a.stop()
	})
}
