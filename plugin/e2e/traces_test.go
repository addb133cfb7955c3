package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// TestTraces: stack traces that are open while the agent is stopped, killed and reloaded, and while streams are opened
// anew, come whole, with every line once. A kill may repeat some.
func TestTraces(t *testing.T) {
	for _, reader := range []string{"follow", "poll", "file"} {
		for end, signal := range map[string]syscall.Signal{"stop": syscall.SIGTERM, "kill": syscall.SIGKILL} {
			t.Run(reader+"/"+end, func(t *testing.T) {
				eachAgent(t, func(t *testing.T, a agent) {
					if _, ok := a.(host); ok && end == "kill" {
						t.Skip("the host keeps no chunks on disk")
					}
					t.Parallel()
					testTraces(t, a, reader, signal)
				})
			})
		}
	}
}

func testTraces(t *testing.T, a agent, reader string, end syscall.Signal) {
	const n, frames, restarts = 60, 4, 4
	e := dockertest.Start(t)
	spec := dockertest.Container{Name: "web", Labels: map[string]string{"fluentbit.io/multiline": "java"}}
	if reader == "file" {
		spec.LogDir = t.TempDir()
	}
	c := e.Run(spec)
	s := setup{storage: t.TempDir(), inputs: []options{{
		"Docker_Host": e.Host(), "Reader": reader, "DB": filepath.Join(t.TempDir(), "db.json"), "Start_From": "beginning", "Metrics_Listen": "off",
		"Rotate_Interval": "1s", "Poll_Min": "100ms", "Poll_Max": "200ms"}}}
	// Each trace takes 50 ms to write, so that most ends and rotations are within one.
	want := map[string]int{}
	written, stop := make(chan struct{}), make(chan struct{})
	for i := range n {
		want[fmt.Sprint("line ", i)] = 1
		want[trace(i, frames)] = 1
	}
	go func() {
		defer close(written)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := range n {
			c.Stdout(fmt.Sprint("line ", i))
			for line := range strings.SplitSeq(trace(i, frames), "\n") {
				c.Stdout(line)
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-written })
	p := start(t, a, s)
	for i := range restarts {
		p.awaitRecords(map[string]int{c.ID: (i + 1) * 2 * n / (restarts + 2)})
		p = p.again(end, s)
	}
	<-written
	p.awaitDistinct(c.ID, len(want))
	have := map[string]int{}
	for _, r := range p.stopTorn() {
		have[r.text("log")]++
	}
	if end == syscall.SIGKILL {
		for text := range have {
			have[text] = 1
		}
	}
	if !maps.Equal(have, want) {
		for text, times := range have {
			if times != want[text] {
				t.Errorf("%d times instead of %d: %q", times, want[text], text)
			}
		}
		for text := range want {
			if have[text] == 0 {
				t.Errorf("missing: %q", text)
			}
		}
		t.Errorf("%d records, want %d", len(have), len(want))
	}
}

// trace is what a program prints that fails for the i-th time.
func trace(i, frames int) string {
	text := fmt.Sprintf("%d shop.CartException: no cart", i)
	for k := range frames {
		text += fmt.Sprintf("\n\tat shop.Cart.open(Cart.java:%d)", k)
	}
	return text
}
