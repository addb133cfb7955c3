package capture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/go-units"

	"fluent-bit-docker-logs/docker/enginetest"
)

// ascending checks numbered lines of which some may be missing: each at most
// once, in order. It returns how many runs of lines are missing, and lines.
func ascending(t *testing.T, n int, lines []string) (gaps, missing int) {
	t.Helper()
	last := 0
	for _, l := range lines {
		var seq int
		if _, err := fmt.Sscanf(l, "run stdout %d", &seq); err != nil {
			t.Fatalf("a line that was never written: %.100q", l)
		}
		if seq <= last {
			t.Fatalf("line %d comes after %d", seq, last)
		}
		if seq > last+1 {
			gaps++
		}
		missing += seq - last - 1
		last = seq
	}
	if last != n {
		t.Errorf("the last line is %d, not %d", last, n)
	}
	return gaps, missing
}

// storedSize is the size of a record in a json-file.
func storedSize(t *testing.T, r got) int {
	text, err := json.Marshal(r.Fields["log"] + "\n")
	must(t, err)
	at := time.Unix(int64(r.Sec), int64(r.Nanos)).UTC().Format(time.RFC3339Nano)
	return len(text) + len(`{"log":,"stream":"stdout","time":""}`) + len(at) + len("\n")
}

// onlyWholeFilesMissing proves that what is missing was in files that the
// reader never got hold of: the Engine begins a file when the one before has
// reached max bytes, so where lines are missing the last file that was read
// must have that size, or a part of it was lost.
func onlyWholeFilesMissing(t *testing.T, records []got, most int64) {
	t.Helper()
	size, last := int64(0), 0
	for _, r := range records {
		var seq int
		_, err := fmt.Sscanf(r.Fields["log"], "run stdout %d", &seq)
		must(t, err)
		if seq != last+1 && last > 0 && size < most {
			t.Fatalf("lines %d to %d are missing behind %d bytes of a file of at least %d", last+1, seq-1, size, most)
		}
		if seq != last+1 || size >= most {
			size = 0
		}
		size += int64(storedSize(t, r))
		last = seq
	}
}

// rotate runs one container of numbered lines through log rotation and
// returns how many of them are missing.
func rotate(t *testing.T, e *enginetest.Engine, lines int, rate string, logOpts map[string]string) (missing int) {
	t.Helper()
	name := fmt.Sprintf("rotation-%d", time.Now().UnixNano())
	a := startAgent(t, e.Host, map[string]string{"Include": "name=" + name, "Reader": readerFile, "Buffer_Limit": "256M"})
	a.lazy = true // nothing was sent to it yet
	a.connected()
	c := e.Run(t, enginetest.Options{Name: name, LogOpts: logOpts,
		Args: []string{"-await", "-lines", fmt.Sprint(lines), "-size", "130", "-rate", rate}})
	a.waitFor("the first line", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return a.count > 0 })
	c.Kill("SIGUSR1") // from here on the reader has the file open
	c.Wait()
	last := fmt.Appendf(nil, "run stdout %d ", lines)
	a.wait("the last line", func([]got) bool { return bytes.Contains(a.raw[max(0, len(a.raw)-1000):], last) })
	a.decodeLazy()
	gaps, missing := ascending(t, lines, a.texts(c.ID, ""))
	said := a.col.Totals().Gaps
	t.Logf("%d lines missing in %d gaps, %v gaps counted", missing, gaps, said)
	if missing > 0 && said == 0 {
		t.Error("nothing was said of the lines missing")
	}
	most, err := units.FromHumanSize(logOpts["max-size"]) // as json-file reads it
	must(t, err)
	onlyWholeFilesMissing(t, a.waitRecords(0), most)
	if missing == 0 && said > 0 {
		t.Error("a gap was counted and nothing is missing")
	}
	if n := a.counted("damaged_records_total"); n > 0 {
		t.Errorf("%v damaged records", n)
	}
	return missing
}

// The Engine's log rotation at full speed, a file every few hundred
// microseconds at the smallest size. What is missing was removed by the Engine
// before a reader could get at it, and is said.
func TestEngineFileRotationUnthrottled(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, size := range []string{"10k", "1m"} {
			for _, opts := range []map[string]string{
				{"max-file": "1"},
				{"max-file": "2"}, {"max-file": "2", "compress": "true"},
				{"max-file": "5"}, {"max-file": "5", "compress": "true"},
			} {
				opts["max-size"] = size
				t.Run(fmt.Sprint(opts), func(t *testing.T) { rotate(t, e, 20_000, "0", opts) })
			}
		}
	})
}

// standstill watches this process until the test ends, and says for how long it
// was not given a processor, at most.
func standstill(t *testing.T) func() time.Duration {
	var most atomic.Int64
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := time.Now()
			most.Store(max(most.Load(), int64(now.Sub(last))))
			last = now
		}
	}()
	return func() time.Duration { return time.Duration(most.Load()) }
}

// rotatesEvery is how long 100 KB of 5,000 lines a second last.
const rotatesEvery = 90 * time.Millisecond

// A log rotation every 90 ms, which a reader keeps up with, unless the machine
// leaves it no processor for as long: then what is missing is counted.
func TestEngineFileRotation(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, opts := range []map[string]string{
			{"max-size": "1m"}, {"max-size": "1m", "max-file": "1"}, // one file
			{"max-size": "100k", "max-file": "2"}, {"max-size": "100k", "max-file": "2", "compress": "true"},
			{"max-size": "100k", "max-file": "5", "compress": "true"}, {"max-size": "1m", "max-file": "2"},
		} {
			t.Run(fmt.Sprint(opts), func(t *testing.T) {
				stood := standstill(t)
				if missing := rotate(t, e, 10_000, "5000", opts); missing > 0 {
					t.Logf("%d lines missing, the process stood still for up to %v", missing, stood())
					// The word of a new file goes from the kernel through four goroutines, each of
					// which may have to wait for as long.
					if 5*stood() < rotatesEvery {
						t.Fail()
					}
				}
			})
		}
	})
}

// Containers that are removed as soon as they have ended, after one line. Each
// comes once or is counted as missed. SHORT_LIVED=500 is the full number.
func TestEngineShortLivedFiles(t *testing.T) {
	total, workers := 100, 1
	if v := os.Getenv("SHORT_LIVED"); v != "" {
		var err error
		total, err = strconv.Atoi(v)
		must(t, err)
	}
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		prefix := fmt.Sprintf("short-%d", time.Now().UnixNano())
		a := startAgent(t, e.Host, map[string]string{"Include": "name=" + prefix + "*"})
		a.connected()
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < total; i += workers {
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					id, err := e.Create(ctx, enginetest.Options{Name: fmt.Sprintf("%s-%d", prefix, i), AutoRemove: true, Args: []string{"-lines", "1"}})
					if err == nil {
						gone, errs := e.ContainerWait(ctx, id, containertypes.WaitConditionRemoved)
						if err = e.ContainerStart(ctx, id, containertypes.StartOptions{}); err == nil {
							select {
							case <-gone:
							case err = <-errs:
							}
						}
					}
					cancel()
					if err != nil {
						t.Errorf("container %d: %v", i, err)
						return
					}
				}
			})
		}
		wg.Wait()
		missed := func() int { return int(a.counted("missed_containers_total")) }
		a.waitFor("each container to be read or counted", func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.records)+missed() >= total
		})
		a.mu.Lock()
		n := len(a.records)
		a.mu.Unlock()
		t.Logf("%d of %d lines, %d containers missed", n, total, missed())
		if n+missed() != total {
			t.Errorf("%d lines and %d missed are not %d", n, missed(), total)
		}
		// How many are missed is the machine's affair: of 100 one where it is quiet.
		if n == 0 {
			t.Error("not one was read")
		}
	})
}
