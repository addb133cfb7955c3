package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// A container that is removed when it stops is followed although Max_Streams is
// used up by busy ones: the quietest of these is polled instead. All lines come.
func TestAutoRemovedContainerTakesASlot(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "auto", "Max_Streams": "2"})
	a.connected()
	var all []*dockertest.Ctr
	for i := range 7 {
		c := e.Run(dockertest.Container{Name: fmt.Sprint("c", i), AutoRemove: i >= 2})
		c.Stdout(sequence("out", 0, 5)...)
		a.waitTexts(c.ID, "", 5)
		all = append(all, c)
	}
	for i, c := range all {
		want := readerFollow
		if i < 2 || i == 6 { // four are twice Max_Streams
			want = readerPoll
		}
		a.waitFor(fmt.Sprint(c.Name(), " to be read by ", want), func() bool {
			s := a.stream(c.ID)
			return s.Reader == want && (want == readerPoll || s.Age > 0) // the log is open
		})
	}
	for _, c := range all[2:6] {
		c.Stdout(sequence("out", 5, 10)...)
		c.Die(0)
		a.waitTexts(c.ID, "", 10)
		checkSequence(t, c.Name(), sequence("out", 0, 10), a.texts(c.ID, ""))
	}
	// With these gone there is a slot for the last one.
	last := all[6]
	a.waitFor("the last one to be followed", func() bool {
		s := a.stream(last.ID)
		return s.Reader == readerFollow && s.Age > 0 // its log is open
	})
	last.Stdout(sequence("out", 5, 10)...)
	last.Die(0)
	a.waitTexts(last.ID, "", 10)
	if n := a.counted("unpolled_containers_total") + a.counted("missed_containers_total"); n != 0 {
		t.Errorf("%v containers are counted as missed", n)
	}
}

// A container that was removed while it was polled may have taken lines with
// it; one whose log was read to its end has not.
func TestRemovedBeforeItsLastPoll(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "poll"}, func(c *capture.Config) { c.PollMin, c.PollMax = time.Hour, time.Hour })
	a.connected()
	kept := e.Run(dockertest.Container{Name: "kept"})
	kept.Stdout("first")
	a.waitTexts(kept.ID, "", 1)
	lost := 0
	for i := range 10 {
		c := e.Run(dockertest.Container{Name: fmt.Sprint("job", i), AutoRemove: true})
		c.Stdout("first")
		a.waitTexts(c.ID, "", 1)
		c.Stdout("then removed")
		c.Die(0)
		a.waitFor("the end of the stream", func() bool { return a.running() == 1 })
		counted := int(a.counted("unpolled_containers_total")) - lost
		a.waitTexts(c.ID, "", 2-counted) // that its start was learned twice may have had it polled once more
		if lost += counted; counted > 1 {
			t.Fatalf("%s is counted %d times", c.Name(), counted)
		}
	}
	if lost == 0 {
		t.Error("no container took a line with it")
	}
	kept.Stdout("last")
	kept.Die(0)
	a.waitTexts(kept.ID, "", 2)
	kept.Remove()
	a.waitFor("the end of the streams", func() bool { return a.running() == 0 })
	a.stop()
	if n := a.counted("unpolled_containers_total"); n != float64(lost) {
		t.Errorf("%v are counted, not %d", n, lost)
	}
	if n := strings.Count(a.log.String(), "if anything, is lost"); n != lost {
		t.Errorf("it is said %d times, not %d", n, lost)
	}
}

// The same of one whose log could not be read when it was removed.
func TestRemovedWhileItsLogIsClosed(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"})
	a.connected()
	c, open := e.Run(dockertest.Container{Name: "job"}), e.Run(dockertest.Container{Name: "open"})
	c.Stdout("first")
	open.Stdout("first")
	a.waitRecords(2)
	undo := e.Override(dockertest.Logs, nil, dockertest.Answer{Status: 500, Message: "no"})
	c.CutFollowers()
	a.waitLog("reading the log failed")
	c.Stdout("never seen")
	c.Remove()
	a.waitLog("removed while its log could not be read")
	undo()
	open.Stdout("last")
	open.Remove()
	a.waitTexts(open.ID, "", 2)
	a.waitFor("the end of the streams", func() bool {
		return a.running() == 0
	})
	a.stop()
	if n := a.counted("unpolled_containers_total"); n != 1 || strings.Count(a.log.String(), "if anything, is lost") != 1 {
		t.Errorf("%v are counted:\n%s", n, a.log)
	}
}

// The stream of a container that is gone ends although the Engine did not answer
// when the removal was told.
func TestRemovedWhileTheEngineDoesNotAnswer(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile}, func(c *capture.Config) { c.ResyncInterval = 100 * time.Millisecond })
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "job"})
	c.Stdout("first")
	a.waitRecords(1)
	undo := e.Override(dockertest.Inspect, nil, dockertest.Answer{Status: 500, Message: "no"})
	looks := e.Requests(dockertest.Inspect)
	c.Remove()
	a.waitFor("a look", func() bool { return e.Requests(dockertest.Inspect) > looks })
	undo()
	a.waitFor("the end of the stream", func() bool { return a.running() == 0 })
}
