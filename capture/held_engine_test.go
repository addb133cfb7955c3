package capture

import (
	"fmt"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/docker/enginetest"
)

// TestEngineHeldLog has somebody else open a compressed log and not read it, as
// "docker logs NAME | less" does. Meanwhile Engine 20.10 shows everybody the rotated
// files of then in the place of those of now, which it keeps and does not show:
// no line comes twice for that, and what cannot be read is counted.
func TestEngineHeldLog(t *testing.T) {
	const lines, perSecond = 16_000, 1000
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		name := fmt.Sprintf("held-%d", time.Now().UnixNano())
		agents := map[string]*agent{}
		for _, reader := range []string{readerFollow, readerPoll, readerAuto} {
			agents[reader] = startAgent(t, e.Host, only(name, map[string]string{"Reader": reader}),
				func(c *Config) { c.RotateInterval, c.PollMin = 2*time.Second, 50*time.Millisecond })
			agents[reader].connected()
		}
		c := e.Run(t, enginetest.Options{Name: name, LogOpts: map[string]string{"max-size": "500k", "max-file": "5", "compress": "true"},
			Args: []string{"-std", "stdout", "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(perSecond), "-size", "200"}})
		agents[readerAuto].waitTexts(c.ID, "stdout", lines/3)
		held, err := e.ContainerLogs(t.Context(), c.ID, containertypes.LogsOptions{ShowStdout: true, Tail: "all"})
		must(t, err)
		defer func() { _ = held.Close() }()
		agents[readerAuto].waitTexts(c.ID, "stdout", 2*lines/3)
		must(t, held.Close())
		for reader, a := range agents {
			a.waitRun(c.ID)
			seen := map[string]int{}
			doubled := 0
			for _, text := range a.texts(c.ID, "stdout") {
				if seen[text]++; seen[text] > 1 {
					if doubled++; doubled == 1 {
						t.Logf("%s: the first that is doubled: %.30s", reader, text)
					}
				}
			}
			gaps := int(testutil.ToFloat64(a.col.metrics.gaps))
			late := int(testutil.ToFloat64(a.col.metrics.late))
			t.Logf("%s: %d of %d lines missing, %d doubled, %d gaps, %d late", reader, lines-len(seen), lines, doubled, gaps, late)
			if doubled > 0 || len(seen) < lines && gaps == 0 {
				t.Errorf("%s: %d of %d lines missing and %d gaps counted, %d doubled", reader, lines-len(seen), lines, gaps, doubled)
			}
		}
	})
}

// waitRun waits until the last run of a container is over, its log was read to
// its end, and all lines were taken.
func (a *agent) waitRun(id string) {
	a.t.Helper()
	a.waitFor("the end of the run", func() bool {
		c, err := a.col.api.Inspect(a.t.Context(), id)
		s := a.col.captured(id)
		return err == nil && !c.Running && s != nil && s.isOver(c)
	})
	a.wait("the last lines", func(rs []got) bool { return len(rs) >= a.lines() })
}
