// Package grafana renders what the dashboard beside it would show. It asks a Prometheus: to prove every query of the
// dashboard, and to look at it where there is no Grafana.
package grafana

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"fluent-bit-docker-logs/docker/plot"
)

//go:embed dashboards/docker_logs.json
var source []byte

// Dashboard is what is understood of a dashboard's file.
type Dashboard struct {
	Title  string
	Panels []Panel
}

// Panel is one panel. It is a "stat" (one number), a "timeseries" or a "table".
type Panel struct {
	Type        string
	Title       string
	Description string
	GridPos     struct{ W int } // of 24
	Targets     []Target
	FieldConfig struct {
		Defaults struct {
			Unit     string
			Mappings []struct {
				Options map[string]struct{ Text string }
			}
		}
	}
}

// Target is a query of a panel.
type Target struct {
	Expr         string
	LegendFormat string
}

// Load reads the dashboard.
func Load() (*Dashboard, error) {
	d := &Dashboard{}
	if err := json.Unmarshal(source, d); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return d, nil
}

// Range is the time that a dashboard shows.
type Range struct {
	From, To time.Time
	Scrape   time.Duration // Prometheus' scrape interval
}

// Shown is a panel with its data.
type Shown struct {
	Panel
	Results []Result // one for each target
}

// Result is the answer to one target. Of a stat and a table each series has one value, the last.
type Result struct {
	Target
	Query  string // as it was sent
	Series []plot.Series
}

// Show asks for the data of every panel, as Grafana does.
func (d *Dashboard) Show(ctx context.Context, api v1.API, r Range) ([]Shown, error) {
	var all []Shown
	for _, p := range d.Panels {
		s := Shown{Panel: p}
		for _, t := range p.Targets {
			res, err := r.ask(ctx, api, t, p.Type == "timeseries")
			if err != nil {
				return nil, fmt.Errorf("panel %s: query %s: %w", p.Title, res.Query, err)
			}
			s.Results = append(s.Results, res)
		}
		all = append(all, s)
	}
	return all, nil
}

// ask answers a target with its variables filled in.
func (r Range) ask(ctx context.Context, api v1.API, t Target, over bool) (Result, error) {
	res := Result{Target: t, Query: strings.NewReplacer(
		"$__rate_interval", fmt.Sprintf("%dms", (4*r.Scrape).Milliseconds()),
		"$instance", ".*",
	).Replace(t.Expr)}
	if !over {
		v, _, _, err := api.Query(ctx, res.Query, r.To)
		if err != nil {
			return res, err
		}
		samples, _ := v.(model.Vector)
		for _, x := range samples {
			res.Series = append(res.Series, plot.Series{Name: name(t, x.Metric), X: []float64{0}, Y: []float64{float64(x.Value)}})
		}
		return res, nil
	}
	v, _, _, err := api.QueryRange(ctx, res.Query, v1.Range{Start: r.From, End: r.To, Step: max(r.Scrape, r.To.Sub(r.From)/200)})
	if err != nil {
		return res, err
	}
	rows, _ := v.(model.Matrix)
	for _, row := range rows {
		s := plot.Series{Name: name(t, row.Metric)}
		for _, x := range row.Values {
			s.X = append(s.X, x.Timestamp.Time().Sub(r.From).Seconds())
			s.Y = append(s.Y, float64(x.Value))
		}
		res.Series = append(res.Series, s)
	}
	return res, nil
}

var field = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// name is the legend of a series; in a table the container that its row is about.
func name(t Target, m model.Metric) string {
	if container, ok := m["container_name"]; ok && !field.MatchString(t.LegendFormat) {
		return string(container)
	}
	return field.ReplaceAllStringFunc(t.LegendFormat, func(f string) string {
		return string(m[model.LabelName(field.FindStringSubmatch(f)[1])])
	})
}

// Answered says whether there is any data.
func (r Result) Answered() bool {
	for _, s := range r.Series {
		for _, y := range s.Y {
			if !math.IsNaN(y) {
				return true
			}
		}
	}
	return false
}
