package capture_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"

	"fluent-bit-docker-logs/capture/testkit"
)

// While one reader works off a large backlog, the lines of another container
// come through, each before the next is written. BACKLOG_MB=1000 is the full
// number.
func TestBacklogStarvesNobody(t *testing.T) {
	megabytes := fromEnv(t, "BACKLOG_MB", 50)
	e := dockertest.Start(t)
	dir := t.TempDir()
	big := e.Run(dockertest.Container{Name: "big", LogDir: dir})
	small := e.Run(dockertest.Container{Name: "small", LogDir: dir})
	big.Stdout("first")
	lines, err := os.ReadFile(testkit.JSONFile(t, 1<<20/130))
	must(t, err)
	f, err := os.OpenFile(big.LogPath(), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	for range megabytes {
		_, err := f.Write(lines)
		must(t, err)
	}
	must(t, f.Close())
	a := startAgent(t, e.Host(), map[string]string{"Start_From": "beginning", "Reader": "file", "Buffer_Limit": "1M"})
	a.mu.Lock()
	a.only = small.ID
	a.mu.Unlock()
	a.waitFor("the backlog to be begun", func() bool { return a.lines() > 0 })
	n := 0
	for ; n < 10*megabytes && a.lines() < megabytes*(1<<20/130)/2; n++ {
		small.Stdout(fmt.Sprint("line ", n))
		a.waitTexts(small.ID, "", n+1)
	}
	if n < 3 {
		t.Errorf("only %d lines of the other container came in the time of half the backlog", n)
	}
	checkSequence(t, "small", sequence("line", 0, n), a.texts(small.ID, ""))
}

// lines is how many lines the agent emitted.
func (a *agent) lines() int { return int(a.col.Totals().Lines) }

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
