package capture_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/docker/enginetest"
)

// Containers that run for milliseconds, started again by hand and by a restart
// policy: each line comes once, in every way of reading. SHORT_RUNS=1000 of 20
// containers is the full number.
func TestEngineShortRuns(t *testing.T) {
	const lines, retries = 10, 3
	runs := fromEnv(t, "SHORT_RUNS", 30)
	containers := min(20, runs/3)
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		label := fmt.Sprint(time.Now().UnixNano())
		agents := map[string]*agent{}
		for _, r := range readerCases {
			opts := map[string]string{"Include": "label.runs=" + label, "Reader": r.name}
			agents[r.name] = startAgent(t, e.Host, opts, func(c *capture.Config) { c.PollMin, c.PollMax = 100*time.Millisecond, time.Second })
			agents[r.name].connected()
		}
		want := map[*enginetest.Container]int{}
		var jobs, loops []*enginetest.Container
		for i := range containers {
			o := enginetest.Options{Labels: map[string]string{"runs": label}, Args: []string{"-lines", fmt.Sprint(lines)}}
			if i%4 == 0 {
				o.Args, o.Retries = []string{"-lines", fmt.Sprint(lines + 1), "-crash-after", fmt.Sprint(lines)}, retries
			}
			c := e.New(t, o)
			if i%4 == 0 {
				loops = append(loops, c)
				want[c] = lines * (retries + 1)
			} else {
				jobs = append(jobs, c)
			}
		}
		for _, c := range loops {
			c.Start()
		}
		var wg sync.WaitGroup
		for _, some := range [][]*enginetest.Container{jobs[:len(jobs)/2], jobs[len(jobs)/2:]} {
			wg.Go(func() {
				for i := range runs * len(some) / len(jobs) {
					c := some[i%len(some)]
					c.Start()
					c.Wait()
				}
			})
		}
		wg.Wait()
		for i, half := 0, len(jobs)/2; i < len(jobs); i++ {
			some, at := jobs[:half], i
			if i >= half {
				some, at = jobs[half:], i-half
			}
			n := runs * len(some) / len(jobs)
			want[jobs[i]] = lines * ((n + len(some) - 1 - at) / len(some))
		}
		for c, n := range want {
			for name, a := range agents {
				a.waitTexts(c.ID, "stdout", n)
				var written []string
				for _, l := range c.Logs() {
					written = append(written, l.Text)
				}
				if len(written) != n {
					t.Errorf("%s has %d lines, %d were written", container.ShortID(c.ID), len(written), n)
				}
				checkSequence(t, name, written, a.texts(c.ID, "stdout"))
			}
		}
		for name, a := range agents {
			if strings.Contains(a.log.String(), "gap") {
				t.Errorf("%s: a gap was reported", name)
			}
		}
	})
}
