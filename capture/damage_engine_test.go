package capture_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/docker/enginetest"
)

// A crash or a full disk leaves NULs or half a record in a log while Fluent Bit
// is away, and the container goes on behind them: what each Engine makes of
// that, all lines come, but for one that the damage is glued to, and a gap is
// said where any may be missing. DAMAGE_HOST is another Engine.
func TestEngineDamagedLog(t *testing.T) {
	run := func(t *testing.T, e *enginetest.Engine) {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, kind := range []struct {
				name, damage string
				behind       int
			}{
				{"NULs, far back", strings.Repeat("\x00", 3000), 140},
				{"NULs, near the end", strings.Repeat("\x00", 3000), 20},
				{"half a record", `{"log":"half a rec`, 30},
				{"text", "no record\n", 140},
			} {
				t.Run(reader+" "+kind.name, func(t *testing.T) { testDamagedLog(t, e, reader, kind.damage, kind.behind) })
			}
		}
	}
	if host := os.Getenv("DAMAGE_HOST"); host != "" {
		e, err := enginetest.Dial(t.Context(), host)
		must(t, err)
		defer func() { _ = e.Close() }()
		run(t, e)
		return
	}
	onEngines(t, run)
}

func testDamagedLog(t *testing.T, e *enginetest.Engine, reader, damage string, n int) {
	name := fmt.Sprintf("damaged-%d", time.Now().UnixNano())
	opts := map[string]string{"Include": "name=" + name, "Reader": reader, "DB": filepath.Join(t.TempDir(), "db"), "Start_From": "beginning"}
	fast := func(c *capture.Config) {
		c.HeartbeatInterval, c.RotateInterval, c.PollMin, c.PollMax = time.Second, 2*time.Second, 50*time.Millisecond, 200*time.Millisecond
	}
	a := startAgent(t, e.Host, opts, fast)
	a.connected()
	c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-lines", fmt.Sprint(n), "-size", "40", "-hold"}})
	a.waitRecords(n)
	a.stop()
	c.Stop()
	info, err := e.ContainerInspect(t.Context(), c.ID)
	must(t, err)
	f, err := os.OpenFile(info.LogPath, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(damage)
	must(t, err)
	must(t, f.Close())
	c.Start() // it writes as many again
	last := fmt.Sprintf("run stdout %d ", n)
	for !strings.Contains(contentOf(t, info.LogPath), last+"The") || strings.Count(contentOf(t, info.LogPath), last) < 2 {
		time.Sleep(20 * time.Millisecond)
	}

	a = startAgent(t, e.Host, opts, fast)
	a.waitFor("what is behind the damage", func() bool { return len(a.texts(c.ID, "")) >= n-1 })
	c.Stop()
	have := a.texts(c.ID, "")
	gaps := int(a.col.Totals().Gaps)
	t.Logf("%d of %d lines behind the damage, gaps %d", len(have), n, gaps)
	if want := sequenceFrom(have[0], n); len(have) > n || len(have) < n && gaps == 0 {
		t.Errorf("%d lines, gaps %d; they begin %v", len(have), gaps, want)
	}
	seen := map[string]bool{}
	for _, line := range have {
		if seen[line] {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
	}
}

func sequenceFrom(first string, n int) string { return fmt.Sprintf("%.20s of %d", first, n) }

func contentOf(t *testing.T, path string) string {
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}
