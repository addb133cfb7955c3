package capture_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/docker/enginetest"
)

// onEngines runs a test on every real Engine that can be had here.
func onEngines(t *testing.T, f func(t *testing.T, e *enginetest.Engine)) {
	for _, e := range enginetest.All(t) {
		t.Run("Engine "+e.Version, func(t *testing.T) { f(t, e) })
	}
}

// numbered checks lines of loggen, "run std seq payload": sequence numbers
// from 1 to n, each once, in order.
func numbered(t *testing.T, std string, n int, lines []string) {
	t.Helper()
	numberedButLate(t, std, n, lines, 0)
}

// numberedButLate is numbered, but so many lines at most may come behind others
// that were written after them.
func numberedButLate(t *testing.T, std string, n int, lines []string, late int) {
	t.Helper()
	seen := make([]bool, n+1)
	highest, doubled, behind, firstBehind := 0, 0, 0, 0
	for _, l := range lines {
		f := strings.SplitN(l, " ", 4)
		if len(f) < 3 || f[1] != std {
			t.Fatalf("a line that was never written: %.100q", l)
		}
		seq, err := strconv.Atoi(f[2])
		if err != nil || seq < 1 || seq > n {
			t.Fatalf("a line that was never written: %.100q", l)
		}
		if seen[seq] {
			doubled++
			continue
		}
		seen[seq] = true
		if seq < highest {
			if behind++; behind == 1 {
				firstBehind = seq
			}
		}
		highest = max(highest, seq)
	}
	missing := 0
	for _, came := range seen[1:] {
		if !came {
			missing++
		}
	}
	if missing != 0 || doubled != 0 || behind > late {
		t.Errorf("%s: %d of %d lines missing, %d doubled, %d behind later ones (%d may be late), the first of these %d", std, missing, n, doubled, behind, late, firstBehind)
	}
}

// fromEnv is the number of an environment variable, else a smaller one.
func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	must(t, err)
	return n
}

func only(name string, more map[string]string) map[string]string {
	opts := map[string]string{"Include": "name=" + name, "Reader": "follow"}
	for k, v := range more {
		opts[k] = v
	}
	return opts
}

// Two racing std streams, whose timestamps are often inverted between them,
// with the stream rotated every 100 ms. RACING_LINES=500000 for each of the two
// at RACING_RATE=20000 lines a second for each is the full number; at fewer an
// opening finds its place in a moment, so that there are many.
func TestEngineRacingStreams(t *testing.T) {
	lines, rate := fromEnv(t, "RACING_LINES", 25_000), fromEnv(t, "RACING_RATE", 5_000)
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		name := fmt.Sprintf("racing-%d", time.Now().UnixNano())
		a := startAgent(t, e.Host, only(name, nil), func(c *capture.Config) { c.RotateInterval = 100 * time.Millisecond })
		a.connected()
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate), "-size", "100"}})
		a.waitRecords(2 * lines)
		numbered(t, "stdout", lines, a.texts(c.ID, "stdout"))
		numbered(t, "stderr", lines, a.texts(c.ID, "stderr"))
		t.Logf("%s", a.metric("log_capturer_stream_rotations_total"))
		if strings.Contains(a.log.String(), "gap") {
			t.Error("a gap was reported")
		}
	})
}

// The Engine's own log rotation under a follow: 20.10 sends lines twice, and on a
// busy machine leaves some out, which come late and are counted.
func TestEngineLogRotation(t *testing.T) {
	const lines = 20_000
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		name := fmt.Sprintf("rotated-%d", time.Now().UnixNano())
		a := startAgent(t, e.Host, only(name, nil))
		a.connected()
		// A log rotation that outruns a follow loses lines in the Engine: small
		// files would be too few lines.
		c := e.Run(t, enginetest.Options{Name: name, LogOpts: map[string]string{"max-size": "1m", "max-file": "5"},
			Args: []string{"-lines", fmt.Sprint(lines), "-rate", "5000", "-size", "100"}})
		a.waitRecords(lines)
		a.waitRun(c.ID) // what is late was counted
		late := int(a.counted("late_records_total"))
		numberedButLate(t, "stdout", lines, a.texts(c.ID, "stdout"), late)
		t.Logf("%d late, %s", late, a.metric("log_capturer_doubles_dropped_total"))
	})
}

// Containers that live for milliseconds and are removed at their end: each
// line comes once, or the container is counted as missed.
func TestEngineShortLived(t *testing.T) {
	const n = 30
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		label := fmt.Sprint(time.Now().UnixNano())
		a := startAgent(t, e.Host, map[string]string{"Include": "label.short=" + label, "Reader": "follow"})
		a.connected()
		for range n {
			c := e.New(t, enginetest.Options{AutoRemove: true, Labels: map[string]string{"short": label}, Args: []string{"-lines", "1"}})
			c.Start()
		}
		missed := func() int { return int(a.counted("missed_containers_total")) }
		a.waitFor("every container to be accounted for", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.records)+missed() >= n
		})
		ids := map[string]int{}
		for _, r := range a.waitRecords(0) {
			ids[r.Fields["container_id"]]++
		}
		for id, lines := range ids {
			if lines != 1 {
				t.Errorf("%s: %d lines", container.ShortID(id), lines)
			}
		}
		if len(ids)+missed() != n {
			t.Errorf("%d containers came, %d are counted as missed, of %d", len(ids), missed(), n)
		}
		t.Logf("%d of %d containers came, %d were missed", len(ids), n, missed())
	})
}

// Many containers on a real Engine, a tenth of which write all the time: with
// few streams open each line comes once, and only those of the busy ones stay
// open: nobody but the Engine can read files of the driver local. CONTAINERS=200
// is the full number.
func TestEngineManyContainers(t *testing.T) {
	n := fromEnv(t, "CONTAINERS", 20)
	const busyLines, quietLines = 100, 5
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		busy := n / 10
		label := fmt.Sprint(time.Now().UnixNano())
		a := startAgent(t, e.Host, map[string]string{"Include": "label.many=" + label, "Max_Streams": fmt.Sprint(busy)},
			func(c *capture.Config) { c.IdleAfter, c.ActiveRate = 2*time.Second, 1 })
		a.connected()
		before := processFDs()
		lines := map[string]int{}
		for i := range n {
			want, args := quietLines, []string{"-lines", fmt.Sprint(quietLines), "-rate", "0.2", "-hold"}
			if i%10 == 0 {
				want, args = busyLines, []string{"-lines", fmt.Sprint(busyLines), "-rate", "5", "-hold"}
			}
			c := e.Run(t, enginetest.Options{LogDriver: "local", Labels: map[string]string{"many": label}, Args: args})
			lines[c.ID] = want
		}
		a.waitRecords(busy*busyLines + (n-busy)*quietLines)
		for id, want := range lines {
			numbered(t, "stdout", want, a.texts(id, ""))
		}
		a.waitFor("quiet containers to be polled", func() bool { return a.col.View().ByReader()[readerPoll] >= n-busy })
		fds := processFDs() - before
		t.Logf("%d containers: %v, %d descriptors more than with none", n, a.col.View().ByReader(), fds)
		if most := 2*busy + 2*engine.MaxOpens; fds > most {
			t.Errorf("%d descriptors more than with none, at most %d would do", fds, most)
		}
	})
}
