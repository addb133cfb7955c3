package capture_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// Above the limit the guard gives up descriptors until there are few enough;
// no line is lost or doubled by that, and when there is room again the logs are
// read as before.
func TestGuard(t *testing.T) {
	const containers = 60
	e := dockertest.Start(t)
	var warn int
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, fast, func(c *capture.Config) {
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
		return a.counted("fd_guard_actions_total", "action="+action)
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
		return a.col.View().ByReader()[readerFollow] == 10
	})
	for _, c := range cs {
		checkSequence(t, c.Name(), []string{"before", "after"}, a.texts(c.ID, ""))
	}
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

// With no descriptor free the health and the metrics still say so.
func TestExhaustionIsTold(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow", "FD_Limit": "800"}, fast)
	a.connected()
	a.waitFor("the guard to have counted", func() bool { return a.col.Health().FDs.Process > 0 })
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
}
