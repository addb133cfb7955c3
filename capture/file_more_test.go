package capture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// jsonFile is a log file with n lines of 130 bytes.
func jsonFile(tb testing.TB, n int) string {
	path := filepath.Join(tb.TempDir(), "c-json.log")
	line := fmt.Appendf(nil, `{"log":"%s\n","stream":"stdout","time":%q}`+"\n", bytes.ReplaceAll(benchText, []byte(`"`), []byte(`\"`)), stamp)
	if err := os.WriteFile(path, bytes.Repeat(line, n), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// wholeFile reads a log file of n lines, from its path to acknowledged
// batches.
func wholeFile(tb testing.TB, n int) (read func()) {
	s := benchStream(tb)
	s.describe(&container{ID: s.id, Name: "shop-web-1", Image: "nginx:1.27", Driver: "json-file", LogPath: jsonFile(tb, n)})
	return func() {
		s.pos = position{}
		if err := newReaders(s.col).file.read(tb.Context(), s, false); err != nil {
			tb.Fatal(err)
		}
		before := s.col.out.acked
		drainOutbox(s.col.out)
		if got := s.col.out.acked - before; got != uint64(n) {
			tb.Fatalf("%d records of %d lines", got, n)
		}
	}
}

func BenchmarkWholeFile(b *testing.B) {
	const n = 20_000
	read := wholeFile(b, n)
	b.SetBytes(n * 130)
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/line")
}

func TestLinesOfFilesDoNotAllocate(t *testing.T) {
	const n = 20_000
	read := wholeFile(t, n)
	read()
	if perRead := testing.AllocsPerRun(5, read); perRead/n >= 0.05 {
		t.Errorf("%.0f allocations for %d lines", perRead, n)
	}
}

// While one reader works off a large backlog, a line of another container
// comes through.
func TestBacklogStarvesNobody(t *testing.T) {
	const backlog = 100_000
	e := dockertest.Start(t)
	dir := t.TempDir()
	big := e.Run(dockertest.Container{Name: "big", LogDir: dir})
	small := e.Run(dockertest.Container{Name: "small", LogDir: dir})
	text := strings.Repeat("x", 500)
	big.Flood(dockertest.Stdout, backlog, func(dst []byte, _ int) []byte { return append(dst, text...) })
	a := startAgent(t, e.Host(), map[string]string{"Start_From": "beginning", "Reader": "file", "Buffer_Limit": "1M"})
	a.waitTexts(big.ID, "", 1)
	small.Stdout("line")
	a.waitTexts(small.ID, "", 1)
	if n := len(a.texts(big.ID, "")); n >= backlog {
		t.Errorf("all %d lines of the backlog came first", n)
	}
	a.waitTexts(big.ID, "", backlog)
}

// A position that was saved while reading the file is found again in the
// file, also after log rotation has moved that away.
func TestRestartFromFile(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Reader": "file"})
	c := e.Create(dockertest.Container{Name: "web", LogDir: t.TempDir(), MaxSize: 20 << 10, MaxFile: 5, Compress: true})
	var have []string
	const rounds, each = 8, 100
	for i := range rounds {
		a := startAgent(t, e.Host(), opts)
		a.connected()
		if i == 0 {
			c.Start()
		}
		c.Stdout(sequence("out", i*each, i*each+each/2)...)
		a.waitTexts(c.ID, "", i*each+each/2-len(have))
		a.stop()
		have = append(have, a.texts(c.ID, "")...)
		c.Stdout(sequence("out", i*each+each/2, (i+1)*each)...) // nobody reads
		if i%2 == 1 {
			must(t, c.RotateLog())
		}
		saved, err := os.ReadFile(opts["DB"])
		must(t, err)
		if !strings.Contains(string(saved), `"file"`) {
			t.Fatalf("no place in the file was saved: %s", saved)
		}
		if strings.Contains(a.log.String(), "gap") {
			t.Error("a gap was reported")
		}
	}
	a := startAgent(t, e.Host(), opts)
	a.waitTexts(c.ID, "", rounds*each-len(have))
	checkSequence(t, "lines", sequence("out", 0, rounds*each), append(have, a.texts(c.ID, "")...))
}
