package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

// An Engine that is stopped in the middle of everything, and goes on after a
// while: that is told meanwhile, no line is lost or doubled, and nothing is
// left behind. FREEZE_SECONDS=60 is the full number; with it the intervals are
// those that the options have by default.
func TestEngineFrozen(t *testing.T) {
	seconds := fromEnv(t, "FREEZE_SECONDS", 14)
	own := enginetest.Own(t)
	pid := testkit.EnginePID(t, own.Host)
	readers := []string{readerFollow, readerAuto}
	if seconds >= 60 {
		readers = append(readers, readerPoll)
	}
	for _, reader := range readers {
		t.Run(reader, func(t *testing.T) {
			name := fmt.Sprintf("frozen-%d", time.Now().UnixNano())
			a := startAgent(t, own.Host, map[string]string{"Include": "name=" + name + "*", "Reader": reader, "Rotation_Log_Level": "off"}, func(c *capture.Config) {
				if seconds < 60 {
					c.HeartbeatInterval, c.RotateInterval = time.Second, 2*time.Second
				}
			})
			a.connected()
			before := a.settled(pid)
			var cs []*enginetest.Container
			for i := range 4 {
				cs = append(cs, own.Run(t, enginetest.Options{Name: fmt.Sprint(name, "-", i), Args: []string{"-std=both", "-lines=100000000", "-rate=200", "-size=100"}}))
			}
			a.waitRecords(2000)
			must(t, unix.Kill(pid, unix.SIGSTOP))
			defer unix.Kill(pid, unix.SIGCONT) // for a test that fails meanwhile
			frozen := time.Now()
			a.waitFor("the health to tell", func() bool {
				h := a.col.Health()
				return slices.Contains(h.Problems, "the Engine does not answer")
			}, 2*time.Minute)
			t.Logf("told after %v of %d s", time.Since(frozen).Round(time.Second), seconds)
			time.Sleep(time.Until(frozen.Add(time.Duration(seconds) * time.Second))) // as long as it is to be frozen
			must(t, unix.Kill(pid, unix.SIGCONT))
			a.waitFor("the Engine to be back", func() bool { h := a.col.Health(); return h.Engine.Reachable }, 2*time.Minute)
			n := len(a.waitRecords(0))
			a.waitRecords(n + 1000)
			for _, c := range cs {
				c.Stop()
			}
			a.waitFor("the streams to end", func() bool { return a.running() == 0 })
			for _, c := range cs {
				want := c.Logs()
				for _, std := range []string{"stdout", "stderr"} {
					var lines []string
					for _, l := range want {
						if l.Std == std {
							lines = append(lines, l.Text)
						}
					}
					checkSequence(t, c.Name+" "+std, lines, a.texts(c.ID, std))
				}
			}
			a.sameUse(before, pid)
			if strings.Contains(a.log.String(), "gap") {
				t.Error("a gap was reported")
			}
		})
	}
}
