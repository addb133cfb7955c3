package capture_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dockercontainer "github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/docker/enginetest"
)

// journalled starts a container whose log is kept by journald, and returns its id.
func journalled(t *testing.T, e *enginetest.Engine, opts enginetest.Options) string {
	t.Helper()
	opts.LogDriver, opts.Args = "journald", append(opts.Args, "-hold")
	id, err := e.Create(t.Context(), opts)
	if err == nil {
		t.Cleanup(func() { _ = e.Drop(context.Background(), id) })
		err = e.ContainerStart(t.Context(), id, dockercontainer.StartOptions{})
	}
	if err != nil {
		t.Skipf("this Engine has no log driver journald: %v", err)
	}
	return id
}

// The log driver journald, which keeps each piece of a long line with a time of
// its own: each line comes once, through restarts of the agent.
func TestEngineJournald(t *testing.T) {
	const lines = 1500
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		enginetest.Journald(t)
		for _, reader := range []string{readerFollow, readerPoll} {
			t.Run(reader, func(t *testing.T) {
				name := fmt.Sprintf("journald-%d", time.Now().UnixNano())
				opts := only(name, map[string]string{"Reader": reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"})
				quick := func(c *capture.Config) {
					c.RotateInterval, c.PollMin, c.PollMax = time.Second, 50*time.Millisecond, 200*time.Millisecond
				}
				c := journalled(t, e, enginetest.Options{Name: name, Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-rate", "300", "-size", "100", "-long", "40000", "-every", "50"}})
				var texts [3][]string
				take := func(a *agent) {
					texts[decode.Stdout] = append(texts[decode.Stdout], a.texts(c, "stdout")...)
					texts[decode.Stderr] = append(texts[decode.Stderr], a.texts(c, "stderr")...)
				}
				a := startAgent(t, e.Host, opts, quick)
				a.waitTexts(c, "stdout", 100)
				a.stop()
				if strings.Contains(a.log.String(), "cannot be read") {
					t.Skip("this Engine was built without the reader of journald")
				}
				take(a)
				a = startAgent(t, e.Host, opts, quick)
				a.waitTexts(c, "stdout", lines-len(texts[decode.Stdout]))
				a.waitTexts(c, "stderr", lines-len(texts[decode.Stderr]))
				a.stop()
				take(a)
				numbered(t, "stdout", lines, texts[decode.Stdout])
				numbered(t, "stderr", lines, texts[decode.Stderr])
				if strings.Contains(a.log.String(), "gap") {
					t.Error("a gap was reported")
				}
			})
		}
	})
}

// Empty lines, of which Engine 20.10 shows none and counts each in a tail: the others
// come once, through a restart of the agent and one of the container, and nothing is
// taken for damage.
func TestEngineJournaldEmptyLines(t *testing.T) {
	var want []string
	var written strings.Builder
	for i := range 300 {
		line := fmt.Sprint("line ", i)
		if i%100 == 50 {
			line += strings.Repeat(" and on", 3000)
		}
		want = append(want, line)
		written.WriteString(line + strings.Repeat("\n", 1+i%5))
	}
	eachRun(t, enginetest.Options{Args: writes(written.String())}, want)
}

// writes are the arguments of a container that writes a text.
func writes(text string) []string {
	return []string{"-write", "stdout:" + base64.StdEncoding.EncodeToString([]byte(text))}
}

// eachRun has each reader read what a container has written to journald, and again each
// time that the container was started again: what is not empty comes once, without a gap.
func eachRun(t *testing.T, opts enginetest.Options, want []string) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		enginetest.Journald(t)
		for _, reader := range []string{readerFollow, readerPoll} {
			t.Run(reader, func(t *testing.T) {
				opts := opts
				opts.Name = fmt.Sprintf("journald-%d", time.Now().UnixNano())
				options := only(opts.Name, map[string]string{"Reader": reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"})
				quick := func(c *capture.Config) {
					c.RotateInterval, c.PollMin, c.PollMax = 500*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
				}
				id := journalled(t, e, opts)
				if opts.TTY { // then it is known that no run ended within what it wrote
					time.Sleep(time.Duration(decode.ClockSlack) + time.Second)
				}
				for run := range 3 {
					a := startAgent(t, e.Host, options, quick)
					var have []string
					a.wait("the lines", func(rs []got) bool {
						have = slices.DeleteFunc(textsOf(rs, id, "stdout"), func(line string) bool { return line == "" })
						return len(have) >= len(want) || strings.Contains(a.log.String(), "cannot be read")
					})
					a.stop()
					if strings.Contains(a.log.String(), "cannot be read") {
						t.Skip("this Engine was built without the reader of journald")
					}
					checkSequence(t, fmt.Sprint("run ", run), want, have)
					if n := a.col.Totals().Gaps; n != 0 {
						t.Errorf("run %d: %v gaps", run, n)
					}
					must(t, e.ContainerRestart(t.Context(), id, dockercontainer.StopOptions{Signal: "SIGTERM"}))
				}
			})
		}
	})
}

// Long lines of a terminal, of whose pieces each has a time of its own on Engine 20.10,
// as each of other containers has.
func TestEngineJournaldTTY(t *testing.T) {
	var want []string
	var written strings.Builder
	for i, size := range []int{10, 16382, 20000, 49153, 100} {
		line := fmt.Sprint(i, " 2026-01-02T03:04:05.000000006Z ")
		line += strings.Repeat("x", max(0, size-len(line)))
		want = append(want, line)
		written.WriteString(line + "\n")
	}
	eachRun(t, enginetest.Options{TTY: true, Args: writes(written.String())}, want)
}
