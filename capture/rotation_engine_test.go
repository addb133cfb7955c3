package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/docker/enginetest"
)

// TestEngineShortLivedLog compares what comes of a log that the Engine rotates
// all the time, in each way of reading and by what docker logs -f does, in the
// same run. Its table is what capture/README.md#what-the-engine-leaves-out and CHANGELOG.md speak of. SHORT_LINES=400 is
// the full number, SHORT_HOST another Engine.
func TestEngineShortLivedLog(t *testing.T) {
	lines, all := fromEnv(t, "SHORT_LINES", 60), os.Getenv("SHORT_LINES") != ""
	for _, c := range []struct {
		driver, size string
		bytes, rate  int
	}{
		{"json-file", "100k", 40_000, 20},
		{"json-file", "1m", 40_000, 20},
		{"local", "100k", 40_000, 20},
		{"json-file", "20k", 100, 1000},
		{"json-file", "100k", 100, 1000},
	} {
		if !all && c.size != "1m" { // the others take minutes
			continue
		}
		n := lines
		if c.bytes < decode.ChunkSize {
			n *= 25
		}
		run := func(t *testing.T, e *enginetest.Engine) {
			testShortLivedLog(t, e, c.driver, c.size, c.bytes, c.rate, n)
		}
		t.Run(fmt.Sprintf("%s %s, lines of %d", c.driver, c.size, c.bytes), func(t *testing.T) {
			if host := os.Getenv("SHORT_HOST"); host != "" {
				e, err := enginetest.Dial(t.Context(), host)
				must(t, err)
				defer func() { _ = e.Close() }()
				run(t, e)
				return
			}
			onEngines(t, run)
		})
	}
}

func testShortLivedLog(t *testing.T, e *enginetest.Engine, driver, size string, bytes, rate, lines int) {
	name := fmt.Sprintf("short-%d", time.Now().UnixNano())
	agents := map[string]*agent{}
	for _, reader := range []string{readerFollow, readerPoll, readerAuto} {
		agents[reader] = startAgent(t, e.Host, only(name, map[string]string{"Reader": reader}), func(c *capture.Config) { c.RotateInterval = time.Second; c.PollMax = c.PollMin })
		agents[reader].connected()
	}
	c := e.Run(t, enginetest.Options{Name: name, LogDriver: driver, LogOpts: map[string]string{"max-size": size, "max-file": "5"},
		Args: []string{"-std", "both", "-lines", fmt.Sprint(lines), "-rate", fmt.Sprint(rate), "-size", fmt.Sprint(bytes), "-hold"}})
	plain := followed(t, e, c.ID)

	last := fmt.Sprintf(" %d ", lines)
	for _, reader := range []string{readerFollow, readerPoll, readerAuto} {
		agents[reader].wait("the last lines by "+reader, func([]got) bool {
			return ended(textsOf(agents[reader].records, c.ID, "stdout"), last) && ended(textsOf(agents[reader].records, c.ID, "stderr"), last)
		})
	}
	theirs := plain()
	row := fmt.Sprintf("Engine %s, %s %s, %d lines of %d bytes: docker logs -f lacks %d", e.Version, driver, size, 2*lines, bytes, lacking(theirs, lines, bytes))
	for _, reader := range []string{readerFollow, readerPoll, readerAuto} {
		a := agents[reader]
		var have []string
		flagged, torn, seen, doubled := 0, 0, map[string]bool{}, 0
		for _, r := range a.waitRecords(0) {
			text := r.Fields["log"]
			switch whole := len(text) == bytes; {
			case r.Fields["partial"] != "":
				flagged++
			case !whole:
				torn++
				t.Logf("%s: a fragment of %d bytes at %d.%09d", reader, len(text), r.Sec, r.Nanos)
			case seen[text]:
				doubled++
				t.Logf("%s: doubled: %.40s", reader, text)
			default:
				seen[text] = true
				have = append(have, text)
			}
		}
		missing := lacking(have, lines, bytes)
		gaps := int(a.col.Totals().Gaps)
		row += fmt.Sprintf("; %s lacks %d (gaps %d, late %d, fragments flagged %d, not flagged %d, doubled %d)", reader, missing, gaps,
			int(a.counted("late_records_total")), flagged, torn, doubled)
		if missing > 0 && gaps == 0 && !strings.Contains(a.log.String(), "so fast that what it leaves out may not be found") {
			t.Errorf("%s: %d lines are missing, none is counted and nothing is said", reader, missing)
		}
		if missing > lacking(theirs, lines, bytes) && gaps == 0 || doubled > 0 || torn > lines/100+gaps { // the first piece that comes of a line looks like its beginning
			t.Errorf("%s: %d missing, %d doubled, %d fragments not flagged", reader, missing, doubled, torn)
		}
	}
	t.Log(row)
}

// ended says whether the line of that number is there.
func ended(texts []string, number string) bool {
	for i := len(texts) - 1; i >= 0 && i > len(texts)-50; i-- {
		if head := texts[i][:min(40, len(texts[i]))]; strings.Contains(head, number) {
			return true
		}
	}
	return false
}

// lacking is how many of the lines 1 to n of both std streams are not there as
// a whole.
func lacking(texts []string, n, bytes int) int {
	seen := map[string]bool{}
	for _, text := range texts {
		if len(text) == bytes {
			seen[strings.Join(strings.SplitN(text, " ", 4)[:3], " ")] = true
		}
	}
	return 2*n - len(seen)
}

// followed reads a log as docker logs -f does, until the function that it
// returns is called.
func followed(t *testing.T, e *enginetest.Engine, id string) (lines func() []string) {
	ctx, cancel := context.WithCancel(t.Context())
	body, err := e.ContainerLogs(ctx, id, containertypes.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Tail: "all"})
	must(t, err)
	var out [3]bytes.Buffer
	var done sync.WaitGroup
	done.Go(func() {
		var head [8]byte
		for {
			if _, err := io.ReadFull(body, head[:]); err != nil {
				return
			}
			if _, err := io.CopyN(&out[head[0]%3], body, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
				return
			}
		}
	})
	stop := func() {
		cancel()
		done.Wait()
		_ = body.Close()
	}
	t.Cleanup(stop)
	return func() []string {
		stop()
		return append(strings.Split(out[1].String(), "\n"), strings.Split(out[2].String(), "\n")...)
	}
}
