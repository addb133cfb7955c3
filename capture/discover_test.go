package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/stream"
)

func TestOnlyWantedContainers(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Exclude": "db-*"}, soon)
	a.connected()
	db := e.Run(dockertest.Container{Name: "db-1"})
	out := e.Run(dockertest.Container{Name: "opted-out", Labels: map[string]string{container.ExcludeLabel: "true"}})
	web := e.Run(dockertest.Container{Name: "web"})
	for _, c := range []*dockertest.Ctr{db, out, web} {
		c.Stdout("line")
	}
	must(t, web.WaitFollowers(testContext(t), 1))
	a.waitRecords(1)
	if n := db.Followers() + out.Followers(); n != 0 {
		t.Errorf("%d streams of containers that are not wanted", n)
	}
	// A name decides as it is at the moment.
	a.waitResyncs(e, 2)
	db.Rename("web-2")
	db.Stdout("after")
	a.waitTexts(db.ID, "", 1)
	checkSequence(t, "of db-1", []string{"after"}, a.texts(db.ID, "")) // what came before was not wanted
	web.Rename("db-2")
	must(t, web.WaitFollowers(testContext(t), 0))
}

func TestRenameChangesTheRecord(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Tag_Template": "docker.<container_name>"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "old"})
	c.Stdout("one")
	a.waitRecords(1)
	c.Rename("new")
	a.waitFor("the new name", func() bool {
		return a.stream(c.ID).Name == "new"
	})
	c.Stdout("two")
	rs := a.waitRecords(2)
	if rs[0].Fields["container_name"] != "old" || rs[0].Tag != "docker.old" ||
		rs[1].Fields["container_name"] != "new" || rs[1].Tag != "docker.new" {
		t.Errorf("%v", rs)
	}
}

func TestLabels(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Labels": "team,app.*", "Log_Key": "message"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web", Labels: map[string]string{"team": "blue", "app.tier": "front", "other": "x"}})
	c.Stdout("line")
	f := a.waitRecords(1)[0].Fields
	if f["message"] != "line" || f["label_team"] != "blue" || f["label_app_tier"] != "front" || f["label_other"] != "" {
		t.Errorf("%v", f)
	}
}

// No event ever tells of these containers: the list finds them.
func TestResyncFindsWhatEventsMissed(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Resync_Interval": "1s"})
	a.connected()
	must(t, e.WaitSubscribers(testContext(t), 1)) // who comes later asks for what came before
	e.DropEvents(-1)
	runs := e.Run(dockertest.Container{Name: "runs"})
	ended := e.Run(dockertest.Container{Name: "ended"})
	runs.Stdout(sequence("out", 0, 10)...)
	ended.Stdout(sequence("out", 0, 10)...)
	ended.Stop()
	a.waitRecords(20)
	checkSequence(t, "runs", sequence("out", 0, 10), a.texts(runs.ID, ""))
	checkSequence(t, "ended", sequence("out", 0, 10), a.texts(ended.ID, ""))
	// The other one is found as well if the list is taken before it has ended.
	if n := a.counted("resync_finds_total"); n < 1 || n > 2 {
		t.Errorf("%v finds counted", n)
	}
}

func TestEngineAbsentAtStart(t *testing.T) {
	e := dockertest.Start(t)
	e.Down()
	a := startAgent(t, e.Host(), nil)
	a.waitLog("the Engine does not answer")
	must(t, e.Up())
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("line")
	a.waitRecords(1)
	if n := strings.Count(a.log.String(), "tried again until it does"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestSocketWithoutPermission(t *testing.T) {
	e := dockertest.Start(t)
	must(t, e.SetSocketMode(0))
	dockertest.AsNobody(t)
	a := startAgent(t, e.Host(), nil)
	a.waitLog("permission denied")
}

// An unreadable log is said once and not asked for again; others go on.
func TestUnreadableDriver(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Resync_Interval": "1s"})
	a.connected()
	e.Run(dockertest.Container{Name: "none", Driver: "none"})
	web := e.Run(dockertest.Container{Name: "web"})
	web.Stdout("line")
	a.waitRecords(1)
	a.waitLog("left out until it is created anew")
	asked := e.Requests(dockertest.Logs)
	must(t, e.WaitRequests(testContext(t), dockertest.List, e.Requests(dockertest.List)+3))
	if n := e.Requests(dockertest.Logs); n != asked {
		t.Errorf("asked again %d times", n-asked)
	}
	if n := strings.Count(a.log.String(), "left out until it is created anew"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// Whatever an inspect answers, that container alone is affected, and not for
// longer than the fault.
func TestBadInspect(t *testing.T) {
	for name, answer := range map[string]dockertest.Answer{
		"404":     {Status: 404, Message: "No such container"},
		"409":     {Status: 409, Message: "is being removed"},
		"500":     {Status: 500, Message: "broken"},
		"garbage": {Body: []byte("<html>\x00")},
		"empty":   {Body: []byte("{}")},
		"null":    {Body: []byte("null")},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := startAgent(t, e.Host(), map[string]string{"Resync_Interval": "1s"})
			a.connected()
			bad := e.Create(dockertest.Container{Name: "bad"})
			undo := e.Override(dockertest.Inspect, bad, answer)
			bad.Start()
			good := e.Run(dockertest.Container{Name: "good"})
			bad.Stdout("line")
			good.Stdout("line")
			a.waitTexts(good.ID, "", 1)
			undo()
			a.waitTexts(bad.ID, "", 1)
		})
	}
}

func TestShortLivedContainers(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil)
	a.connected()
	var cs []*dockertest.Ctr
	for range 200 {
		c := e.Run(dockertest.Container{})
		c.Stdout("one", "two")
		c.Write(dockertest.Stderr, []byte("last"))
		c.Stop()
		cs = append(cs, c)
	}
	a.waitRecords(600)
	for _, c := range cs {
		checkSequence(t, c.Name(), []string{"one", "two"}, a.texts(c.ID, "stdout"))
		checkSequence(t, c.Name(), []string{"last"}, a.texts(c.ID, "stderr"))
	}
}

func TestCrashLoop(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil)
	a.connected()
	c := e.Create(dockertest.Container{Name: "crash"})
	for _, line := range sequence("run", 0, 50) {
		c.Start()
		c.Stdout(line)
		c.Write(dockertest.Stdout, []byte("panic: "+line))
		c.Die(1)
	}
	var want []string
	for _, line := range sequence("run", 0, 50) {
		want = append(want, line, "panic: "+line)
	}
	a.waitRecords(len(want))
	checkSequence(t, "lines", want, a.texts(c.ID, ""))
}

func TestRemovedContainerIsForgotten(t *testing.T) {
	opts := dbOptions(t, nil)
	inVirtualTime(t, opts, func(t *testing.T, e *dockertest.Engine, a *agent) {
		pass := func(name string) {
			c := e.Run(dockertest.Container{Name: name})
			c.Stdout("line")
			a.waitTexts(c.ID, "", 1)
			c.Remove()
			a.waitFor("the stream to end", func() bool { return a.running() == 0 })
		}
		pass("web")
		time.Sleep(stream.GoneGrace)
		pass("db")
		a.waitFor("one of two to be forgotten", func() bool {
			saved, err := checkpoint.Peek(opts["DB"])
			must(t, err)
			return len(saved.Containers) == 1
		})
	})
}
