package capture

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

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

// looks waits for so many more looks of the guard's.
func (a *agent) looks(n int) {
	a.t.Helper()
	end := a.col.guard.looks.Load() + int64(n)
	a.waitFor("more looks of the guard's", func() bool { return a.col.guard.looks.Load() >= end })
}

// guardDid is how often the guard did anything.
func (a *agent) guardDid() (n float64) {
	for _, action := range []string{"close_idle", "park", "recycle"} {
		n += testutil.ToFloat64(a.col.metrics.guardActions.WithLabelValues(action))
	}
	return n
}

// What is not the capture's it leaves alone, and what it has itself, too, where
// giving that up would not help.
func TestGuardLeavesOthersAlone(t *testing.T) {
	for _, reader := range []string{readerFile, readerAuto} {
		e := dockertest.Start(t)
		a := startAgent(t, e.Host(), map[string]string{"Reader": reader}, fast, func(c *Config) { c.FDWarn, c.FDLimit = 1, 2 })
		a.connected()
		c := e.Run(dockertest.Container{LogDir: t.TempDir()})
		c.Stdout("one")
		a.waitRecords(1)
		a.waitLog("they are not the capture's")
		c.Stdout("two")
		a.waitRecords(2)
		a.looks(20)
		if n := a.guardDid(); n != 0 {
			t.Errorf("it did %v things", n)
		}
		if n := strings.Count(a.log.String(), "file descriptors are open"); n != 2 {
			t.Errorf("the guard says %d things", n)
		}
		if p := strings.Join(a.col.Health().Problems, "; "); !strings.Contains(p, "FD_Warn") {
			t.Errorf("problems: %s", p)
		}
		checkSequence(t, "lines", []string{"one", "two"}, a.texts(c.ID, ""))
	}
}

// While an output is away Fluent Bit has a timer for each chunk that waits: the
// capture goes on as it does.
func TestGuardIsNotForTimers(t *testing.T) {
	e := dockertest.Start(t)
	var limit int
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *Config) {
		limit = processFDs() + 150
		c.FDWarn, c.FDLimit = limit-10, limit
	})
	a.connected()
	for range 40 { // each is a descriptor here and one in the fake Engine
		e.Run(dockertest.Container{}).Stdout("line")
	}
	a.waitRecords(40)
	for range 100 {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
		must(t, err)
		t.Cleanup(func() { _ = unix.Close(fd) })
	}
	if n := processFDs(); n <= limit {
		t.Fatalf("%d descriptors are open, not more than %d", n, limit)
	}
	a.waitLog("FD_Warn")
	a.looks(10)
	if n := a.guardDid(); n != 0 {
		t.Errorf("it did %v things:\n%s", n, a.log)
	}
}

// A number that goes up and down around FD_Warn is said once, and that it is over
// when it has been for a while.
func TestGuardSaysOnceWhatComesAndGoes(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil, func(c *Config) {
		c.HeartbeatInterval, c.TaskTimeout = 24*time.Hour, 48*time.Hour // it looks when it is told to
		c.FDWarn, c.FDLimit = processFDs()+50, 1<<20
	})
	a.connected()
	g := a.col.guard
	a.waitFor("its own look", func() bool { return g.looks.Load() > 0 })
	files := func(n int) (all []*os.File) {
		for range n {
			f, err := os.Open(os.DevNull)
			must(t, err)
			all = append(all, f)
		}
		return all
	}
	for range 5 {
		all := files(100)
		g.check()
		for _, f := range all {
			must(t, f.Close())
		}
		g.check()
	}
	if n := strings.Count(a.log.String(), "file descriptors"); n != 1 {
		t.Errorf("it says %d things:\n%s", n, a.log)
	}
	g.fewSince = g.fewSince.Add(-calmBeats * a.col.cfg.HeartbeatInterval)
	g.check()
	a.waitLog("the number of open file descriptors is normal again")
}

// A stream needs a descriptor or two. Where there are more of the capture's,
// all logs are opened anew, and not again and again.
func TestGuardRecyclesOnce(t *testing.T) {
	const leaked = 60
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "file"}, fast, func(c *Config) { c.FDWarn = processFDs() + 20; c.FDLimit = c.FDWarn + 10 })
	a.connected()
	c := e.Run(dockertest.Container{LogDir: t.TempDir()})
	c.Stdout("one")
	a.waitRecords(1)
	for range leaked {
		f, err := os.Open(os.DevNull)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
	}
	a.col.files.Add(leaked)
	a.waitLog("all logs are opened anew")
	c.Stdout("two")
	a.waitRecords(2)
	a.looks(20)
	if n := testutil.ToFloat64(a.col.metrics.guardActions.WithLabelValues("recycle")); n != 1 {
		t.Errorf("recycled %v times", n)
	}
	checkSequence(t, "lines", []string{"one", "two"}, a.texts(c.ID, ""))
}

// limitFDs lets this process have n descriptors until the test ends.
func limitFDs(t *testing.T, n int) {
	t.Helper()
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: max(uint64(n), old.Max)}); errors.Is(err, unix.EPERM) {
		t.Skipf("this process may have %d descriptors and no more", old.Max)
	} else {
		must(t, err)
	}
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) })
}

// With no descriptor free the guard, the health and the metrics still say so.
func TestGuardSeesExhaustion(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow", "FD_Limit": "800"}, fast)
	a.connected()
	a.looks(1)
	most := processFDs() + 40
	limitFDs(t, most)
	var all []*os.File
	t.Cleanup(func() {
		for _, f := range all {
			_ = f.Close()
		}
	})
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		all = append(all, f)
	}
	a.looks(10)
	h := a.col.Health()
	if h.FDs.Process < most-8 || h.FDs.Limit != most*8/10 { // the fake Engine closes some meanwhile
		t.Errorf("with %d descriptors, all open: %+v", most, h.FDs)
	}
	if p := strings.Join(h.Problems, "; "); !strings.Contains(p, "FD_Warn") {
		t.Errorf("problems: %s", p)
	}
	if n := a.series("log_capturer_process_open_fds").GetGauge().GetValue(); n < float64(most-8) {
		t.Errorf("process_open_fds is %v of %d", n, most)
	}
	if strings.Contains(a.log.String(), "is normal again") {
		t.Error("the guard says that all is well")
	}
	var blind fdCount // that had none in reserve
	if n, err := blind.count(); err == nil && n < most-8 {
		t.Errorf("%d of %d", n, most)
	}
}

// The limits follow what the process may have.
func TestFDLimits(t *testing.T) {
	for _, test := range []struct{ most, fdWarn, fdLimit, warn, limit int }{
		{1024, 0, 0, 500, 800},
		{65536, 0, 0, 32000, 51200},
		{1024, 0, 600, 375, 600},
		{1024, 700, 0, 700, 800},
		{512, 500, 800, 409, 409},
		{65536, 500, 800, 500, 800},
	} {
		if warn, limit := fdLimits(&Config{FDWarn: test.fdWarn, FDLimit: test.fdLimit}, test.most); warn != test.warn || limit != test.limit {
			t.Errorf("%+v: %d, %d", test, warn, limit)
		}
	}
}
