package soak

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"

	"fluent-bit-docker-logs/docker/grafana"
	"fluent-bit-docker-logs/docker/plot"
)

//go:embed report.html
var pageSource string

var page = template.Must(template.New("").Parse(pageSource))

// Write puts the report into dir. That is report.md, report.html and, where a Prometheus ran, dashboard.html. It
// returns their paths.
func (r *Result) Write(dir string) (paths []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	v := r.view()
	files := map[string][]byte{"report.md": []byte(v.markdown())}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return nil, err
	}
	files["report.html"] = b.Bytes()
	if r.Dashboard != nil {
		var b bytes.Buffer
		if err := grafana.Page(&b, "docker_logs", r.Dashboard); err != nil {
			return nil, err
		}
		files["dashboard.html"] = b.Bytes()
	}
	for _, name := range []string{"report.md", "report.html", "dashboard.html"} {
		path := filepath.Join(dir, name)
		if files[name] == nil {
			_ = os.Remove(path) // of an earlier run
			continue
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// view is the result as it is shown.
type view struct {
	*Result
	Style    template.CSS
	OK       bool
	When     string
	Criteria []Criterion
	Cards    []card
	Plots    []template.HTML
	Head     []string
	Rows     []viewRow
	Streams  []viewRow
}

type card struct{ Value, Text string }

type viewRow struct {
	Critical bool
	Cells    []cell
}

// cell is a value, and what is said below it.
type cell struct{ Text, Below string }

func cells(texts ...string) (all []cell) {
	for _, t := range texts {
		all = append(all, cell{Text: t})
	}
	return all
}

func (r *Result) view() *view {
	v := &view{
		Result: r, Style: plot.Style, OK: r.Passed(), Criteria: r.Verdict(),
		When:  r.Began.UTC().Format("2 January 2006, 15:04 UTC"),
		Plots: r.plots(),
		Head:  []string{"time", "goroutines", "FDs", "threads", "RSS", "rotations", "stream age", "heartbeat", "stalls", "lines", "missing", "doubled"},
	}
	if r.Baseline != nil {
		v.Rows = append(v.Rows, r.row(r.Baseline, "baseline"))
	}
	for _, c := range r.Checkpoints {
		note := ""
		if c.Critical {
			note = "critical"
		}
		v.Rows = append(v.Rows, r.row(c, note))
	}
	v.Cards = []card{
		{plot.Clock(r.ran()), "minutes"},
		{plot.Count(r.Written), "lines written"},
		{plot.Count(r.Final.Missing), "missing"},
		{plot.Count(r.Final.Doubled), "doubled"},
	}
	if n := len(r.Samples); n > 0 {
		v.Cards = append(v.Cards, card{plot.Count(int(r.Samples[n-1].Rotations)), "rotations"}, card{plot.Count(int(r.Samples[n-1].Stalls)), "stalls"})
	}
	v.Streams = r.streams()
	return v
}

// ran is for how many seconds it was measured.
func (r *Result) ran() float64 {
	if n := len(r.Samples); n > 0 {
		return r.Samples[n-1].At.Seconds()
	}
	return 0
}

func (r *Result) row(c *Checkpoint, note string) viewRow {
	grown := func(of func(*Sample) float64, unit string) cell {
		x := cell{Text: plot.Format(of(&c.Sample), unit)}
		if g := c.growth(r.Baseline, of); c != r.Baseline {
			x.Below = signed(g.Total, unit) + ", " + signed(g.PerMinute, unit) + "/min"
		}
		return x
	}
	rotations := "–"
	if c != r.Baseline {
		_, least, most := c.since(r.Baseline)
		rotations = between(least, most)
	}
	all := []cell{
		{plot.Clock(c.At.Seconds()), note},
		grown(func(s *Sample) float64 { return s.Goroutines }, ""), grown(func(s *Sample) float64 { return s.FDs }, ""),
		grown(func(s *Sample) float64 { return s.Threads }, ""), grown(func(s *Sample) float64 { return s.RSS }, "B"),
	}
	return viewRow{c.Critical, append(all, cells(rotations, plot.Format(c.StreamAge, "s"), plot.Format(c.Heartbeat, "s"), plot.Count(int(c.Stalls)),
		plot.Count(c.Lines), plot.Count(c.Missing), plot.Count(c.Doubled))...)}
}

// signed is a growth as a person reads it.
func signed(v float64, unit string) string {
	switch {
	case v > 0:
		return "+" + plot.Format(v, unit)
	case v < 0:
		return "−" + plot.Format(-v, unit)
	}
	return "±0"
}

// streams is a row for each container.
func (r *Result) streams() (rows []viewRow) {
	if r.Baseline == nil || len(r.Checkpoints) == 0 {
		return nil
	}
	rotations, _, _ := r.Checkpoints[len(r.Checkpoints)-1].since(r.Baseline)
	byName := map[string]Count{}
	for k, c := range r.PerStream {
		sum := byName[r.Names[k.Container]]
		sum.add(c)
		byName[r.Names[k.Container]] = sum
	}
	for i := range r.Config.Containers {
		for name, c := range byName {
			if strings.HasSuffix(name, fmt.Sprintf("-%d", i)) {
				_, reader, _ := strings.Cut(name[:strings.LastIndex(name, "-")], "-")
				rows = append(rows, viewRow{Cells: cells(fmt.Sprint(i), reader, fmt.Sprintf("%g", rotations[name]),
					plot.Count(c.Lines), plot.Count(c.Missing), plot.Count(c.Doubled), plot.Count(c.Late))})
			}
		}
	}
	return rows
}

// plots draws what was measured over the time.
func (r *Result) plots() []template.HTML {
	var marks []plot.Mark
	if r.Baseline != nil {
		marks = append(marks, plot.Mark{X: r.Baseline.At.Seconds(), Text: "baseline"})
	}
	if r.ran() > Critical.Seconds() {
		marks = append(marks, plot.Mark{X: Critical.Seconds(), Text: "critical"})
	}
	series := func(name string, of func(*Sample) float64) plot.Series {
		s := plot.Series{Name: name}
		for i := range r.Samples {
			s.X, s.Y = append(s.X, r.Samples[i].At.Seconds()), append(s.Y, of(&r.Samples[i]))
		}
		return s
	}
	chart := func(title, unit string, all ...plot.Series) template.HTML {
		return plot.Chart{Title: title, Unit: unit, Series: all, Marks: marks}.SVG()
	}
	return []template.HTML{
		chart("Goroutines", "", series("goroutines", func(s *Sample) float64 { return s.Goroutines })),
		chart("File descriptors and threads", "", series("file descriptors", func(s *Sample) float64 { return s.FDs }), series("threads", func(s *Sample) float64 { return s.Threads })),
		chart("Memory (RSS of the process)", "B", series("RSS", func(s *Sample) float64 { return s.RSS })),
		chart("Stream rotations", "", series("rotations", func(s *Sample) float64 { return s.Rotations })),
		chart("Lines that arrived", "", series("lines", func(s *Sample) float64 { return float64(s.Lines) })),
		chart("Missing and doubled lines", "", series("missing", func(s *Sample) float64 { return float64(s.Missing) }), series("doubled", func(s *Sample) float64 { return float64(s.Doubled) })),
		chart("Lag", "s", series("lag", func(s *Sample) float64 { return s.Lag })),
		chart("Heartbeat and stream age", "s", series("oldest heartbeat", func(s *Sample) float64 { return s.Heartbeat }), series("mean age when rotated", func(s *Sample) float64 { return s.StreamAge })),
	}
}
