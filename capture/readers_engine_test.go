package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/docker/enginetest"
)

// TestEngineReaders reads one container's log in each way at once, while the
// Engine rotates it about each second and the stream is rotated each second: both
// std streams, some lines of 40,000 bytes, a stop and a start in between. With
// one file an Engine drops the whole log at a rotation, read or not: then lines
// may be missing: they are counted, or it is said that they cannot be.
func TestEngineReaders(t *testing.T) {
	const lines = 300
	for name, opts := range map[string]map[string]string{
		"one file":         {"max-size": "1m", "max-file": "1"},
		"five files":       {"max-size": "1m", "max-file": "5"},
		"compressed files": {"max-size": "1m", "max-file": "5", "compress": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e *enginetest.Engine) {
				name := fmt.Sprintf("readers-%d", time.Now().UnixNano())
				agents := map[string]*agent{}
				for _, reader := range []string{readerFile, readerFollow, readerPoll, readerAuto} {
					agents[reader] = startAgent(t, e.Host, only(name, map[string]string{"Reader": reader}),
						func(c *capture.Config) {
							c.RotateInterval, c.PollMin, c.PollMax = time.Second, 10*time.Millisecond, 50*time.Millisecond
						})
					agents[reader].connected()
				}
				c := e.Run(t, enginetest.Options{Name: name, LogOpts: opts,
					Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-rate", "100", "-size", "100", "-long", "40000", "-every", "10"}})
				plain := followed(t, e, c.ID)
				c.Wait()
				t.Logf("docker logs -f of the first run lacks %d of %d lines", 2*lines-whole(plain()), 2*lines)
				c.Start()
				c.Wait()
				for reader, a := range agents {
					a.waitRun(c.ID)
					for _, std := range []string{"stdout", "stderr"} {
						judgeRuns(t, reader, std, lines, a, c.ID, opts["max-file"] == "1")
					}
				}
			})
		})
	}
}

// judgeRuns wants the numbers 1 to n twice, one run behind the other, each once
// and in order, but for what the Engine had left out and comes late. Where the
// Engine may lose some, they are missing and counted.
func judgeRuns(t *testing.T, reader, std string, n int, a *agent, id string, mayLack bool) {
	t.Helper()
	late := a.counted("late_records_total") > 0
	came, before, runs := make([]int, n+1), 0, 1
	for _, r := range a.waitRecords(0) {
		if r.Fields["container_id"] != id || r.Fields["stream"] != std || r.Fields["partial"] != "" {
			continue
		}
		text := r.Fields["log"]
		var seq int
		if _, err := fmt.Sscanf(text[:min(len(text), 40)], "run "+std+" %d", &seq); err != nil || len(text) != 100 && len(text) != 40_000 || seq < 1 || seq > n {
			t.Fatalf("%s, %s: a line of %d bytes that was never written: %.60q", reader, std, len(text), text)
		}
		if seq <= before {
			runs++
		}
		if before = seq; runs > 2 && !late {
			t.Fatalf("%s, %s: line %d is out of order", reader, std, seq)
		}
		if came[seq]++; came[seq] > 2 {
			t.Fatalf("%s, %s: line %d came %d times in two runs", reader, std, seq, came[seq])
		}
	}
	missing := 0
	for _, times := range came[1:] {
		missing += 2 - times
	}
	gaps := int(a.col.Totals().Gaps)
	t.Logf("%s, %s: %d of %d lines missing, %d gaps", reader, std, missing, 2*n, gaps)
	said := strings.Contains(a.log.String(), "so fast that what it leaves out may not be found")
	if missing > 0 && (!mayLack || gaps == 0 && !said) {
		t.Errorf("%s, %s: %d lines are missing, no gap is counted and nothing is said", reader, std, missing)
	}
}

// whole is how many lines are as long as they were written.
func whole(lines []string) (n int) {
	for _, l := range lines {
		if len(l) == 100 || len(l) == 40_000 {
			n++
		}
	}
	return n
}
