package capture

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/dockertest"
)

// Above the limit the guard gives up descriptors until there are few enough;
// no line is lost or doubled by that, and when there is room again the logs are
// read as before.
func TestGuard(t *testing.T) {
	const containers = 60
	e := dockertest.Start(t)
	var warn int
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *Config) {
		warn = processFDs() + 70 // with room for idle connections, each at both ends
		c.FDWarn, c.FDLimit = warn, warn+20
	})
	a.connected()
	var cs []*dockertest.Ctr
	for range containers { // each is a descriptor here and one in the fake Engine
		c := e.Run(dockertest.Container{})
		c.Stdout("before")
		cs = append(cs, c)
	}
	did := func(action string) float64 {
		return testutil.ToFloat64(a.col.metrics.guardActions.WithLabelValues(action))
	}
	a.waitFor("the guard to act", func() bool { return did("park") > 0 })
	a.waitFor("descriptors to go down", func() bool { return processFDs() <= warn+20 })
	a.waitLog("the quietest containers are polled from now on")
	for i, c := range cs {
		c.Stdout("after")
		a.waitTexts(c.ID, "", 2)
		if i >= 10 {
			c.Remove()
		}
	}
	a.waitLog("are read as before")
	a.waitFor("the others to be followed again", func() bool {
		followed := 0
		for _, s := range a.col.running() {
			if s.notes.now() == readerFollow {
				followed++
			}
		}
		return followed == 10
	})
	for _, c := range cs {
		checkSequence(t, c.Name(), []string{"before", "after"}, a.texts(c.ID, ""))
	}
}

// What is not the capture's it leaves alone, and it does not recycle for ever.
func TestGuardRecyclesOnce(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "file"}, fast, func(c *Config) { c.FDWarn, c.FDLimit = 1, 2 })
	a.connected()
	c := e.Run(dockertest.Container{LogDir: t.TempDir()})
	c.Stdout("one")
	a.waitLog("all logs are opened anew")
	beats := func() int { return strings.Count(a.log.String(), "level=ERROR") }
	said := beats()
	c.Stdout("two")
	a.waitRecords(2)
	for range 20 {
		beat := a.col.guard.task.beatAt.Load()
		a.waitFor("another look of the guard's", func() bool { return a.col.guard.task.beatAt.Load() != beat })
	}
	if n := testutil.ToFloat64(a.col.metrics.guardActions.WithLabelValues("recycle")); n != 1 {
		t.Errorf("recycled %v times", n)
	}
	if beats() > said+3 {
		t.Errorf("the guard says %d things", beats())
	}
	h := a.col.Health()
	if p := strings.Join(h.Problems, "; "); !strings.Contains(p, "FD_Warn") {
		t.Errorf("problems: %s", p)
	}
	checkSequence(t, "lines", []string{"one", "two"}, a.texts(c.ID, ""))
}
