package capture_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/docker/enginetest"
)

func podmanPace(c *capture.Config) {
	c.RotateInterval, c.PollMin, c.PollMax = time.Second, 50*time.Millisecond, 200*time.Millisecond
}

// allOfPodman says whether it is make podman-test that runs, which takes minutes.
func allOfPodman() bool { return os.Getenv("PODMAN_TEST") != "" }

func wholePodman(t *testing.T) *enginetest.PodmanEngine {
	t.Helper()
	if !allOfPodman() {
		t.Skip("make podman-test runs it")
	}
	return enginetest.Podman(t)
}

// A real Podman, by each reader and log driver: short and long lines of both std
// streams, the agent stopped and started twice, Podman's service once.
func TestPodman(t *testing.T) {
	p := enginetest.Podman(t)
	for _, driver := range []string{"json-file", "journald"} { // Docker's clients call k8s-file like that
		for _, reader := range []string{readerAuto, readerFile, readerFollow, readerPoll} {
			if driver == "journald" && reader == readerFile || reader != readerAuto && !allOfPodman() {
				continue
			}
			t.Run(driver+" by "+reader, func(t *testing.T) {
				if driver == "journald" {
					enginetest.Journald(t)
				}
				const lines = 1500
				name := fmt.Sprintf("podman-%d", time.Now().UnixNano())
				opts := only(name, map[string]string{"Reader": reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"})
				c := p.Run(t, enginetest.Options{Name: name, LogDriver: driver,
					Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-rate", "300", "-size", "100", "-long", "40000", "-every", "50", "-hold"}})
				var texts [3][]string
				gaps, said := 0, ""
				for restart, upTo := range []int{lines / 4, lines / 2, lines} {
					a := startAgent(t, p.Host, opts, podmanPace)
					a.waitTexts(c.ID, "stdout", upTo-len(texts[decode.Stdout]))
					if restart == 1 {
						p.Restart(t)
					}
					if upTo == lines {
						a.waitTexts(c.ID, "stderr", upTo-len(texts[decode.Stderr]))
					}
					a.stop()
					texts[decode.Stdout] = append(texts[decode.Stdout], a.texts(c.ID, "stdout")...)
					texts[decode.Stderr] = append(texts[decode.Stderr], a.texts(c.ID, "stderr")...)
					gaps += int(a.col.Totals().Gaps)
					said += a.log.String()
				}
				numbered(t, "stdout", lines, texts[decode.Stdout])
				numbered(t, "stderr", lines, texts[decode.Stderr])
				for _, text := range append(texts[decode.Stdout], texts[decode.Stderr]...) {
					if len(text) != 100 && len(text) != 40_000 {
						t.Fatalf("a line of %d bytes", len(text))
					}
				}
				if !strings.Contains(said, "engine=Podman version="+p.Version) {
					t.Error("the log does not name Podman and its version")
				}
				if gaps > 0 {
					t.Errorf("%d gaps were reported", gaps)
				}
			})
		}
	}
}

// Lines as fast as a container can write them, and two restarts of the agent
// among them.
func TestPodmanBurst(t *testing.T) {
	p := wholePodman(t)
	const lines = 20_000
	for _, driver := range []string{"json-file", "journald"} {
		for _, reader := range []string{readerAuto, readerFollow, readerPoll} {
			t.Run(driver+" by "+reader, func(t *testing.T) {
				if driver == "journald" {
					enginetest.Journald(t)
				}
				name := fmt.Sprintf("burst-%d", time.Now().UnixNano())
				opts := only(name, map[string]string{"Reader": reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"})
				c := p.Run(t, enginetest.Options{Name: name, LogDriver: driver,
					Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-size", "100", "-long", "40000", "-every", "500", "-hold"}})
				var texts [3][]string
				for _, upTo := range []int{lines / 4, lines / 2, lines} {
					a := startAgent(t, p.Host, opts, podmanPace)
					a.waitTexts(c.ID, "stdout", upTo-len(texts[decode.Stdout]))
					if upTo == lines {
						a.waitTexts(c.ID, "stderr", upTo-len(texts[decode.Stderr]))
					}
					a.stop()
					texts[decode.Stdout] = append(texts[decode.Stdout], a.texts(c.ID, "stdout")...)
					texts[decode.Stderr] = append(texts[decode.Stderr], a.texts(c.ID, "stderr")...)
					if n := a.col.Totals().Gaps; n > 0 {
						t.Errorf("%v gaps were reported", n)
					}
				}
				numbered(t, "stdout", lines, texts[decode.Stdout])
				numbered(t, "stderr", lines, texts[decode.Stderr])
			})
		}
	}
}

// Lines that are equal to the last byte, many in each second, which is all that
// Podman's API tells of their times: none is lost and none doubled, through two
// restarts.
func TestPodmanEqualLines(t *testing.T) {
	p := wholePodman(t)
	const lines = 1200
	for _, reader := range []string{readerFile, readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			name := fmt.Sprintf("equal-%d", time.Now().UnixNano())
			opts := only(name, map[string]string{"Reader": reader, "Start_From": "beginning", "DB": t.TempDir() + "/db"})
			c := p.Run(t, enginetest.Options{Name: name, Args: []string{"-lines", fmt.Sprint(lines), "-rate", "400", "-payload", "identical"}})
			came := 0
			for _, upTo := range []int{lines / 4, lines / 2, lines} {
				a := startAgent(t, p.Host, opts, podmanPace)
				a.waitTexts(c.ID, "stdout", upTo-came)
				if upTo == lines {
					a.waitFor("the end", func() bool { return a.running() == 0 })
				}
				a.stop()
				came += len(a.texts(c.ID, "stdout"))
				if n := a.col.Totals().Gaps; n > 0 {
					t.Errorf("%v gaps were reported", n)
				}
			}
			if came != lines {
				t.Errorf("%d of %d lines came", came, lines)
			}
		})
	}
}

// Conmon keeps one file and drops it whole when it is full: who reads the file
// loses nothing, what the API does not show any more is counted or said.
func TestPodmanLogRotation(t *testing.T) {
	p := wholePodman(t)
	const lines = 4000
	for _, reader := range []string{readerFile, readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			name := fmt.Sprintf("rotated-%d", time.Now().UnixNano())
			a := startAgent(t, p.Host, only(name, map[string]string{"Reader": reader}), podmanPace)
			a.connected()
			c := p.Run(t, enginetest.Options{Name: name, LogOpts: map[string]string{"max-size": "100k"},
				Args: []string{"-lines", fmt.Sprint(lines), "-rate", "1000", "-size", "100", "-long", "20000", "-every", "100"}})
			c.Wait()
			a.waitFor("the end", func() bool { return a.running() == 0 })
			texts := a.texts(c.ID, "stdout")
			gaps := a.col.Totals().Gaps
			t.Logf("%d of %d lines came, %v gaps", len(texts), lines, gaps)
			if reader == readerFile {
				numbered(t, "stdout", lines, texts)
			} else if len(texts) < lines && gaps == 0 {
				t.Errorf("%d of %d lines came, and no gap is counted", len(texts), lines)
			}
		})
	}
}

// Containers of --rm that live for a second: each line comes, or its container is
// counted as missed.
func TestPodmanShortLived(t *testing.T) {
	p := wholePodman(t)
	const n = 15
	for _, reader := range []string{readerAuto, readerFollow, readerPoll} {
		t.Run(reader, func(t *testing.T) {
			label := fmt.Sprint(time.Now().UnixNano())
			a := startAgent(t, p.Host, map[string]string{"Include": "label.short=" + label, "Reader": reader}, podmanPace)
			a.connected()
			for range n {
				p.New(t, enginetest.Options{AutoRemove: true, Labels: map[string]string{"short": label}, Args: []string{"-lines", "3", "-rate", "2"}}).Start()
			}
			lost := func() int {
				return int(a.counted("missed_containers_total") + a.counted("unpolled_containers_total"))
			}
			a.waitFor("every container to be accounted for", func() bool { return len(a.waitRecords(0))/3+lost() >= n })
			t.Logf("%d of %d lines came, %d containers are counted as missed", len(a.waitRecords(0)), 3*n, lost())
		})
	}
}

// What cannot be read is said once and left out; a container that stops and is
// started again is read on.
func TestPodmanDrivers(t *testing.T) {
	p := wholePodman(t)
	for _, driver := range []string{"none", "passthrough"} {
		t.Run(driver, func(t *testing.T) {
			name := fmt.Sprintf("mute-%d", time.Now().UnixNano())
			a := startAgent(t, p.Host, map[string]string{"Include": "name=" + name}, podmanPace)
			a.connected()
			p.Run(t, enginetest.Options{Name: name, LogDriver: driver, Args: []string{"-lines=1", "-hold"}})
			a.waitFor("it to be said", func() bool { return strings.Contains(a.log.String(), "left out until it is created anew") })
			a.waitFor("its stream to end", func() bool { return a.running() == 0 })
		})
	}
	for _, reader := range []string{readerAuto, readerFollow, readerPoll} {
		t.Run("started again by "+reader, func(t *testing.T) {
			name := fmt.Sprintf("again-%d", time.Now().UnixNano())
			a := startAgent(t, p.Host, only(name, map[string]string{"Reader": reader}), podmanPace)
			a.connected()
			c := p.Run(t, enginetest.Options{Name: name, Args: []string{"-lines=50", "-rate=200", "-long=20000", "-every=10"}})
			c.Wait()
			a.waitTexts(c.ID, "stdout", 50)
			c.Start()
			c.Wait()
			a.waitTexts(c.ID, "stdout", 100)
			a.waitFor("the end", func() bool { return a.running() == 0 })
			texts := a.texts(c.ID, "stdout")
			numbered(t, "stdout", 50, texts[:50])
			numbered(t, "stdout", 50, texts[50:])
			if n := strings.Count(a.log.String(), "the log is read "); n > 1 {
				t.Errorf("it is said %d times how the log is read", n)
			}
		})
	}
}
