package capture_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// fileAgent starts an agent that reads the file of one container only.
func fileAgent(t *testing.T, e *enginetest.Engine, name string, opts map[string]string) *agent {
	t.Helper()
	all := map[string]string{"Include": "name=" + name, "Reader": readerFile, "Buffer_Limit": "256M"}
	for k, v := range opts {
		all[k] = v
	}
	a := startAgent(t, e.Host, all)
	a.connected()
	return a
}

func uniqueName(what string) string { return fmt.Sprintf("%s-%d", what, time.Now().UnixNano()) }

func logPathOf(t *testing.T, e *enginetest.Engine, c *enginetest.Container) string {
	t.Helper()
	r, err := e.ContainerInspect(testContext(t), c.ID)
	must(t, err)
	return r.LogPath
}

// Lines of three pieces on both std streams, through a log rotation each second.
func TestEngineLongLinesInRotatedFiles(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, opts := range []map[string]string{
			{"max-size": "1m"}, {"max-size": "1m", "max-file": "2"}, {"max-size": "1m", "max-file": "5", "compress": "true"},
		} {
			t.Run(fmt.Sprint(opts), func(t *testing.T) {
				const n = 40
				name := uniqueName("long")
				a := fileAgent(t, e, name, nil)
				c := e.Run(t, enginetest.Options{Name: name, LogOpts: opts,
					Args: []string{"-await", "-std", "both", "-lines", fmt.Sprint(n), "-size", "40000", "-rate", "12"}})
				a.waitTexts(c.ID, "", 2)
				c.Kill("SIGUSR1")
				c.Wait()
				a.waitFor("the end", func() bool {
					return len(a.texts(c.ID, ""))+int(a.col.Totals().Gaps) >= 2*n
				})
				if a.gaps() > 0 {
					t.Skip("the machine was busy for a second: lines were lost, and counted")
				}
				for _, std := range []string{"stdout", "stderr"} {
					lines := a.texts(c.ID, std)
					numbered(t, std, n, lines)
					for _, l := range lines {
						if len(l) != 40000 {
							t.Errorf("a line of %d bytes", len(l))
						}
					}
				}
				if n := a.counted("damaged_records_total"); n > 0 {
					t.Errorf("%v damaged records", n)
				}
			})
		}
	})
}

// What counts as log at the start is what docker logs shows: of one file only
// that, although Engine 20.10 keeps a .1.
func TestEngineBeginningIsWhatTheEngineShows(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, opts := range []map[string]string{{"max-size": "10k"}, {"max-size": "10k", "max-file": "1"}, {"max-size": "10k", "max-file": "3"}} {
			name := uniqueName("begin")
			c := e.New(t, enginetest.Options{Name: name, LogOpts: opts, Args: []string{"-lines", "300", "-size", "130", "-rate", "3000", "-hold"}})
			c.Start()
			path := logPathOf(t, e, c)
			agents := []*agent{}
			done := func() bool {
				b, err := os.ReadFile(path)
				return err == nil && strings.Contains(string(b), "run stdout 300 ")
			}
			for end := time.Now().Add(waitTime); !done() && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond) // nothing tells
			}
			if strings.HasPrefix(e.Version, "20.10") || opts["max-file"] == "3" {
				if _, err := os.Stat(path + ".1"); err != nil {
					t.Errorf("%v: %v", opts, err)
				}
			} else {
				copyFile(t, path, path+".1") // as of Engine 20.10
			}
			agents = append(agents, startAgent(t, e.Host, map[string]string{"Include": "name=" + name, "Reader": readerFile, "Start_From": "beginning"}),
				startAgent(t, e.Host, map[string]string{"Include": "name=" + name, "Reader": readerFollow, "Start_From": "beginning"}))
			for _, a := range agents {
				a.wait("the last line", func(rs []got) bool {
					return len(rs) > 0 && strings.HasPrefix(rs[len(rs)-1].Fields["log"], "run stdout 300 ")
				})
			}
			checkSequence(t, fmt.Sprint(opts), agents[1].texts(c.ID, ""), agents[0].texts(c.ID, ""))
			t.Logf("%v: %d lines", opts, len(agents[0].texts(c.ID, "")))
		}
	})
}

// Hands in a log that a real Engine writes: each line at most once and in
// order, and none missing that is not counted.
func TestEngineHandledFiles(t *testing.T) {
	const n, rate = 3000, 1000
	for name, tc := range map[string]struct {
		opts   map[string]string
		handle func(t *testing.T, path string, i int)
		counts bool // each is a gap
	}{
		"stale": {map[string]string{"max-size": "100k"}, func(t *testing.T, path string, i int) {
			if i == 0 {
				copyFile(t, path, path+".1")
			}
		}, false},
		"copytruncate": {nil, func(t *testing.T, path string, _ int) {
			copyFile(t, path, path+".1")
			must(t, os.Truncate(path, 0))
		}, true},
		"moved": {nil, func(t *testing.T, path string, i int) {
			must(t, os.Rename(path, fmt.Sprint(path, "-", i)))
			must(t, os.WriteFile(path, nil, 0o640))
		}, false},
		"saved": {nil, func(t *testing.T, path string, _ int) {
			b, err := os.ReadFile(path)
			must(t, err)
			replaceFile(t, path, b)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e *enginetest.Engine) {
				name := uniqueName(name)
				a := fileAgent(t, e, name, nil)
				c := e.Run(t, enginetest.Options{Name: name, LogOpts: tc.opts, Args: []string{"-lines", fmt.Sprint(n), "-size", "130", "-rate", fmt.Sprint(rate)}})
				path := logPathOf(t, e, c)
				for i := range 4 {
					a.waitTexts(c.ID, "", 100+600*i)
					tc.handle(t, path, i)
				}
				c.Wait()
				last := fmt.Sprintf("run stdout %d ", n)
				a.wait("the last line", func(rs []got) bool { return strings.HasPrefix(rs[len(rs)-1].Fields["log"], last) })
				_, missing := ascending(t, n, a.texts(c.ID, ""))
				t.Logf("%d of %d lines missing, %d gaps counted", missing, n, a.gaps())
				// A look after the end, at a file that holds nothing of what was read, cannot know what another has held: it counts.
				if gaps := a.gaps(); (missing > 0 || tc.counts) && gaps == 0 || missing == 0 && !tc.counts && gaps > 1 {
					t.Errorf("%d lines missing, %d gaps counted", missing, gaps)
				}
				// The container writes to the file of that name when it starts again.
				c.Start()
				c.Wait()
				a.wait("the last line again", func(rs []got) bool {
					return len(rs) >= 2*n-missing && strings.HasPrefix(rs[len(rs)-1].Fields["log"], last)
				})
				rest := a.texts(c.ID, "")[n-missing:]
				if extra := len(rest) - n; extra > 0 && a.gaps() > 0 && !tc.counts {
					// That look has said a gap, and taken the lines of a saved file for those of another log.
					t.Logf("%d lines came again", extra)
					rest = rest[extra:]
				}
				_, again := ascending(t, n, rest)
				if again > 0 {
					t.Errorf("%d lines of the second run missing", again)
				}
			})
		})
	}
}
