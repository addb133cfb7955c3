package peers

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(c.all); got != c.want {
			t.Errorf("median of %v is %g, want %g", c.all, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

// cost is a run that took so much.
func cost(cpu, engine float64) *figures {
	return &figures{CPU: cpu, Engine: engine, Wall: 2 * cpu, Peak: 32 << 20}
}

// example is a report of which all figures are known.
func example() *Report {
	mine := &Peer{Name: "ours-file", Title: "docker_logs, files", Source: fromFiles, Ours: true, Position: "`DB`", version: "Fluent Bit v5"}
	other := &Peer{Name: "tail", Title: "tail", Source: fromFiles, version: "Fluent Bit v5"}
	gone := &Peer{Name: "otelcol", Title: "Collector", Source: fromFiles, absent: "no network | at all"}
	api := &Peer{Name: "ours-api", Title: "docker_logs, API", Source: fromAPI, Ours: true}
	late := &Peer{Name: "vector", Title: "Vector", Source: fromAPI, live: true}
	w := works(1)
	return &Report{
		Config: Config{Rounds: 3, Scale: 1}, Began: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Took: time.Hour, Engine: "20.10.24",
		peers: []*Peer{mine, other, gone, api, late},
		results: []*result{
			{work: w[0], load: [2]float64{1, 2}, rows: []*row{
				{peer: mine, runs: []*figures{cost(1, 0), cost(2, 0), cost(9, 0)}},
				// The second round has no ratio, and ratios are of a round: 1/4 and 9/3.
				{peer: other, runs: []*figures{cost(4, 0), nil, cost(3, 0)}, lost: 1234, doubled: 1, trouble: "it <ended>\nby | itself"},
				{peer: api, runs: []*figures{cost(2, 5), cost(2, 5), cost(2, 5)}},
			}},
			{work: w[5], rows: []*row{{peer: mine, runs: []*figures{cost(0.2, 0)}}, {peer: other, runs: []*figures{cost(0, 0)}}, {peer: api}, {peer: late, runs: []*figures{cost(0.1, 1)}}}},
		},
	}
}

// TestRatios: they are of the rounds that both came through, and of ours with the same source.
func TestRatios(t *testing.T) {
	r := example()
	read := r.results[0]
	if got := read.ratio(read.rows[1], ownCPU); got != (0.25+3)/2 {
		t.Errorf("ratio %g", got)
	}
	if got := read.rows[1].median(ownCPU); got != 3.5 {
		t.Errorf("median %g", got)
	}
	idle := r.results[1]
	for _, x := range []*row{read.rows[0], idle.rows[1], idle.rows[3]} { // ours; nothing to divide by; ours did not get through
		if got := idle.ratio(x, ownCPU); !math.IsNaN(got) {
			t.Errorf("ratio %g of %s", got, x.peer.Name)
		}
	}
}

// TestRow: what a run took counts where its lines went to the sink that the work is measured with, what it lost always.
func TestRow(t *testing.T) {
	var r row
	r.add(figures{CPU: 1}, false, false)
	r.add(figures{CPU: 9, Lost: 3}, true, false)
	r.add(figures{CPU: 9, Lost: 2, Doubled: 4}, true, false)
	if len(r.runs) != 1 || r.median(ownCPU) != 1 || r.lost != 3 || r.doubled != 4 {
		t.Errorf("%+v", r)
	}
}

// TestMarkdown: the tables have their columns in each line, whoever is not there is named with the reason, and what was lost.
func TestMarkdown(t *testing.T) {
	r := example()
	text := r.Markdown()
	for _, want := range []string{
		"| tail | files | 3.50 (3.00 to 4.00) | 0.00 | 7.0 | 32 MiB | **1,234** | **1** | 1.62 | 1.62 |\n",
		"| docker_logs, files | files | 2.00 (1.00 to 9.00) | 0.00 | 4.0 | 32 MiB | 0 | 0 |  |  |\n",
		"| 1,000,000 lines | 2.00 s | 3.50 s (1.62), **1,234 lost**, **1 doubled** |\n",
		"| 1,000,000 lines | 7.00 s | – |\n",
		"| Collector | files | **not there**: no network \\| at all |",
		"Not there: Collector.",
		"Vector reads only what is written after its start.",
		"tail did not get through each time: it <ended>",
		"Load 1.0 before, 2.0 after.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	columns := 0
	for l := range strings.Lines(text) {
		n := strings.Count(strings.ReplaceAll(l, `\|`, ""), "|")
		switch {
		case !strings.HasPrefix(l, "|"):
			columns = 0
		case columns == 0:
			columns = n
		case n != columns:
			t.Errorf("%d columns instead of %d: %s", n-1, columns-1, l)
		}
	}
	r.Config.Scale, r.Trouble = 0.1, "it was | interrupted"
	if text := r.Markdown(); !strings.Contains(text, "A small try") || !strings.Contains(text, `it was \| interrupted`) {
		t.Error(text)
	}
}

// TestWrite: the report, the table for a document and a drawing that can be shown.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	paths, err := example().Write(dir)
	if err != nil || len(paths) != 3 {
		t.Fatal(paths, err)
	}
	f, err := os.Open(filepath.Join(dir, "peers.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
