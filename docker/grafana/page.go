package grafana

import (
	_ "embed"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"fluent-bit-docker-logs/docker/plot"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("").Parse(pageSource))

// Page writes a page that stands alone and shows the panels.
func Page(w io.Writer, title string, panels []Shown) error {
	v := struct {
		Title string
		Style template.CSS
		Stats []stat
		Plots []template.HTML
		Table []table
	}{Title: title, Style: plot.Style}
	for _, p := range panels {
		switch p.Type {
		case "stat":
			v.Stats = append(v.Stats, stat{p.Title, p.value()})
		case "table":
			v.Table = append(v.Table, p.table())
		default:
			v.Plots = append(v.Plots, p.chart().SVG())
		}
	}
	return page.Execute(w, v)
}

type stat struct{ Title, Value string }

// units are Grafana's names of the units.
var units = map[string]string{"bytes": "B", "s": "s"}

// value is the one number of a stat, or the text that stands for it.
func (p Shown) value() string {
	if len(p.Results) == 0 || len(p.Results[0].Series) == 0 {
		return "no data"
	}
	y := p.Results[0].Series[0].Y[0]
	for _, m := range p.FieldConfig.Defaults.Mappings {
		if o, ok := m.Options[strconv.FormatFloat(y, 'g', -1, 64)]; ok {
			return o.Text
		}
	}
	if math.Abs(y) >= 10 {
		y = math.Round(y)
	}
	return plot.Format(y, units[p.FieldConfig.Defaults.Unit])
}

func (p Shown) chart() plot.Chart {
	c := plot.Chart{Title: p.Title, Unit: units[p.FieldConfig.Defaults.Unit], Wide: p.GridPos.W > 12}
	for _, r := range p.Results {
		c.Series = append(c.Series, r.Series...)
	}
	return c
}

type table struct {
	Title string
	Head  []string
	Rows  [][]string // the first cell is what the row is about
}

// table joins the targets' answers, one column each.
func (p Shown) table() table {
	t := table{Title: p.Title}
	cells := map[string][]string{}
	for i, r := range p.Results {
		head, seconds := strings.CutSuffix(r.LegendFormat, " (s)")
		unit := map[bool]string{true: "s"}[seconds]
		t.Head = append(t.Head, head)
		for _, s := range r.Series {
			if cells[s.Name] == nil {
				cells[s.Name] = make([]string, len(p.Results))
			}
			cells[s.Name][i] = plot.Format(s.Y[0], unit)
		}
	}
	for _, about := range slices.Sorted(maps.Keys(cells)) {
		t.Rows = append(t.Rows, append([]string{about}, cells[about]...))
	}
	return t
}
