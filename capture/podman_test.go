package capture_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/stream"
)

// podmanCase is a way to the logs of Podman.
type podmanCase struct {
	name, version, reader string
	container             dockertest.Container
}

func podmanCases(t *testing.T) (all []podmanCase) {
	t.Helper()
	for _, version := range []string{"4.3.1", "5.8.0"} {
		all = append(all,
			podmanCase{"file", version, readerAuto, dockertest.Container{LogDir: t.TempDir()}},
			podmanCase{"follow", version, readerFollow, dockertest.Container{}},
			podmanCase{"poll", version, readerPoll, dockertest.Container{}},
			podmanCase{"no file", version, readerAuto, dockertest.Container{}},
			podmanCase{"journald", version, readerAuto, dockertest.Container{Driver: "journald"}},
			podmanCase{"journald followed", version, readerFollow, dockertest.Container{Driver: "journald"}})
	}
	return all
}

func onPodman(t *testing.T, f func(t *testing.T, p podmanCase)) {
	for _, p := range podmanCases(t) {
		t.Run(p.name+" of "+p.version, func(t *testing.T) { f(t, p) })
	}
}

func quickly(c *capture.Config) {
	c.RotateInterval, c.PollMin, c.PollMax = 200*time.Millisecond, 5*time.Millisecond, 20*time.Millisecond
}

// podmanLines are lines that repeat, all of them and in turns, and long ones.
func podmanLines(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		switch i % 10 {
		case 0:
			lines = append(lines, fmt.Sprint(i, strings.Repeat(" long", 1000*(i/10%7))))
		default:
			lines = append(lines, []string{"tick", "tock"}[i%2])
		}
	}
	return lines
}

// Each line comes once, in order, through three starts of the agent, whatever
// repeats within a second and however a long line is stored.
func TestPodmanLinesComeOnce(t *testing.T) {
	onPodman(t, func(t *testing.T, p podmanCase) {
		e := dockertest.Start(t, dockertest.WithPodman(p.version))
		p.container.Name = "web"
		c := e.Run(p.container)
		opts := map[string]string{"Reader": p.reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"}
		const each = 300
		var out, err []string
		for i := range 3 {
			var a *agent
			for k := i * each; k < (i+1)*each; k += 50 {
				c.Stdout(podmanLines(k, k+50)...)
				c.Stderr(podmanLines(k, k+50)...)
				if a == nil { // what was written while there was none
					a = startAgent(t, e.Host(), opts, quickly)
				}
				a.waitTexts(c.ID, "stdout", k+25-len(out))
			}
			a.waitTexts(c.ID, "stdout", (i+1)*each-len(out))
			a.waitTexts(c.ID, "stderr", (i+1)*each-len(err))
			a.connected()
			a.stop()
			out, err = append(out, a.texts(c.ID, "stdout")...), append(err, a.texts(c.ID, "stderr")...)
			if n := a.col.Totals().Gaps; n > 0 {
				t.Errorf("%v gaps were reported", n)
			}
			if said := "engine=Podman version=" + p.version; !strings.Contains(a.log.String(), said) {
				t.Errorf("the log does not say %q", said)
			}
		}
		checkSequence(t, "stdout", podmanLines(0, 3*each), out)
		checkSequence(t, "stderr", podmanLines(0, 3*each), err)
	})
}

// A capture begins where Start_From says, although a tail of Podman's is none.
func TestPodmanStartFrom(t *testing.T) {
	for from, want := range map[string][]string{
		"now":       {"new"},
		"beginning": append(podmanLines(0, 100), "new"),
		"tail:9":    append(podmanLines(91, 100), "new"), // and the pieces of none of the long ones
		"1h":        append(podmanLines(0, 100), "new"),
	} {
		t.Run(from, func(t *testing.T) {
			onPodman(t, func(t *testing.T, p podmanCase) {
				e := dockertest.Start(t, dockertest.WithPodman(p.version))
				p.container.Name = "web"
				c := e.Run(p.container)
				c.Stdout(podmanLines(0, 100)...)
				a := startAgent(t, e.Host(), map[string]string{"Reader": p.reader, "Start_From": from}, quickly)
				a.connected()
				a.waitFor("the log to be read", func() bool {
					s := a.stream(c.ID)
					_, rest := a.col.Tasks().Running(stream.TaskKind) // between two polls
					return s.Age > 0 || s.Reader == readerPoll && rest > 0
				})
				c.Stdout("new")
				a.waitTexts(c.ID, "", len(want))
				checkSequence(t, "lines", want, a.texts(c.ID, ""))
			})
		})
	}
}

// Conmon moves a new file over the one that is full: who reads files reads each to
// its end, and counts those that were gone before.
func TestPodmanLogIsReplaced(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	a := startAgent(t, e.Host(), nil, quickly)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web", LogDir: t.TempDir(), MaxSize: 40_000})
	for i := range 100 {
		c.Stdout(sequence("out", 20*i, 20*i+20)...)
		c.Stderr(strings.Repeat("x", 3000*(i%10)))
		a.waitTexts(c.ID, "stdout", 20*i+20)
		a.waitTexts(c.ID, "stderr", i+1)
	}
	checkSequence(t, "lines", sequence("out", 0, 2000), a.texts(c.ID, "stdout"))
	if n := len(c.LogInodes()); n < 10 {
		t.Errorf("only %d files", n)
	}
	if n := a.col.Totals().Gaps; n > 0 {
		t.Errorf("%v gaps were reported", n)
	}
	a.pauseReading()
	for range 3 { // what only the second one held is lost
		must(t, c.RotateLog())
		c.Stdout("lost")
	}
	must(t, c.RotateLog())
	a.resumeReading()
	c.Stdout("last")
	a.wait("the last line", func(rs []got) bool { return ended(textsOf(rs, c.ID, "stdout"), "last") })
	if n := a.col.Totals().Gaps; n == 0 {
		t.Error("no gap was reported")
	}
}

// What Podman does not show is left out, which is said once, and what it does not
// follow is polled.
func TestPodmanRefuses(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	a := startAgent(t, e.Host(), nil, quickly)
	a.connected()
	for _, driver := range []string{"none", "passthrough"} {
		c := e.Run(dockertest.Container{Name: driver, Driver: driver})
		a.waitFor("it to be left out", func() bool {
			return strings.Contains(a.log.String(), "left out until it is created anew\" container="+driver)
		})
		a.waitFor("its stream to end", func() bool { return a.running() == 0 })
		if n := len(c.LogQueries()); n > 2 {
			t.Errorf("%s was asked for %d times", driver, n)
		}
	}
	c := e.Run(dockertest.Container{Name: "web", Driver: "journald"})
	c.Stdout(sequence("out", 0, 1000)...)
	a.waitTexts(c.ID, "", 1000)
	a.waitFor("it to be polled", func() bool { return a.col.View().ByReader()[readerPoll] == 1 })
	for range 20 {
		c.Stdout(sequence("out", 0, 100)...)
		a.waitTexts(c.ID, "", 1000)
	}
	follows := 0
	for _, q := range c.LogQueries() {
		if q.Follow {
			follows++
		}
	}
	if follows != 1 {
		t.Errorf("it was asked %d times to follow", follows)
	}
}

// The end of a container is known by Podman's own name of the event, and not by the
// next list; one that is gone in the middle of an inspect is gone.
func TestPodmanEvents(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	a := startAgent(t, e.Host(), nil, quickly, func(c *capture.Config) { c.ResyncInterval = time.Hour })
	a.connected()
	for i := range 10 {
		c := e.Run(dockertest.Container{Name: fmt.Sprint("web", i), AutoRemove: i%2 == 0, LogDir: t.TempDir()})
		c.Stdout("hello")
		a.waitTexts(c.ID, "", 1)
		c.Die(0)
		a.waitFor("the end", func() bool { return a.running() == 0 })
	}
	c := e.Run(dockertest.Container{Name: "racing"})
	e.Override(dockertest.Inspect, c, dockertest.Answer{Status: 500, Message: "container " + c.ID + " does not exist in database: no such container"})
	c.Stdout("bye")
	c.Remove()
	a.waitFor("the end", func() bool { return a.running() == 0 })
	if strings.Contains(a.log.String(), "is tried again") {
		t.Error("what is gone was tried again")
	}
}

// Where the clock is set back, what is written then is older than the position, and
// comes all the same.
func TestPodmanClockIsSetBack(t *testing.T) {
	onPodman(t, func(t *testing.T, p podmanCase) {
		var back atomic.Int64
		e := dockertest.Start(t, dockertest.WithPodman(p.version), dockertest.WithClock(func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }))
		a := startAgent(t, e.Host(), map[string]string{"Reader": p.reader, "Start_From": "beginning"}, quickly)
		a.connected()
		p.container.Name = "web"
		c := e.Run(p.container)
		c.Stdout(sequence("before", 0, 100)...)
		a.waitTexts(c.ID, "", 100)
		back.Store(int64(time.Hour))
		a.col.Store().NoteClock(-time.Hour) // as the next look at it would
		c.Stdout(sequence("after", 0, 100)...)
		a.waitTexts(c.ID, "", 200)
		checkSequence(t, "lines", append(sequence("before", 0, 100), sequence("after", 0, 100)...), a.texts(c.ID, ""))
	})
}

// A position of the file's nanoseconds is found among the API's whole seconds, and
// the other way round.
func TestPodmanOtherReader(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	c := e.Run(dockertest.Container{Name: "web", LogDir: t.TempDir()})
	db := t.TempDir() + "/db"
	var texts []string
	for i, reader := range []string{readerFile, readerPoll, readerFile, readerFollow, readerAuto} {
		c.Stdout(sequence("out", 100*i, 100*i+100)...)
		a := startAgent(t, e.Host(), map[string]string{"Reader": reader, "Start_From": "beginning", "DB": db}, quickly)
		a.waitTexts(c.ID, "", 100)
		a.stop()
		texts = append(texts, a.texts(c.ID, "")...)
		if n := a.col.Totals().Gaps; n > 0 {
			t.Errorf("%s: %v gaps were reported", reader, n)
		}
	}
	checkSequence(t, "lines", sequence("out", 0, 500), texts)
}

// Podman is known where a proxy refuses to tell its version, too.
func TestPodmanVersionIsRefused(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	e.Override(dockertest.Version, nil, dockertest.Answer{Status: 403, Message: "no"})
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerPoll}, quickly)
	a.connected()
	if !strings.Contains(a.log.String(), "engine=Podman version=4.3.1") {
		t.Error("it is taken for Docker")
	}
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(podmanLines(0, 100)...)
	a.waitTexts(c.ID, "", 100)
	checkSequence(t, "lines", podmanLines(0, 100), a.texts(c.ID, ""))
}

// A file that holds something else than it should is left for the API, once, however
// often the log is opened.
func TestForeignFileIsTriedOnce(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web", LogDir: t.TempDir()})
	c.Stdout("first")
	must(t, os.WriteFile(c.LogPath(), []byte(strings.Repeat("2026-11-26T10:00:15.214670091+00:00 stdout F other\n", 10)), 0o600))
	a := startAgent(t, e.Host(), map[string]string{"Start_From": "beginning"}, quickly)
	a.waitTexts(c.ID, "", 1)
	for i := range 5 {
		c.CutFollowers()
		c.Restart()
		c.Stdout(fmt.Sprint("next ", i))
		a.waitTexts(c.ID, "", i+2)
	}
	if n := strings.Count(a.log.String(), "the log is read from its file") + strings.Count(a.log.String(), "the log is read through"); n > 2 {
		t.Errorf("it is said %d times how the log is read", n)
	}
}
