package grafana

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-docker-logs/docker/plot"
)

// That every query returns data from a real run is proved by the soak test, in docker/soak.

// TestDashboard: the file is what Grafana expects of one that is provisioned.
func TestDashboard(t *testing.T) {
	var d struct {
		UID           string
		SchemaVersion int
		Panels        []struct {
			ID                 int
			Title, Description string
			GridPos            struct{ X, Y, W, H int }
			Targets            []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(source, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.SchemaVersion == 0 || len(d.Panels) == 0 {
		t.Errorf("%+v", d)
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: an id of its own, a title, a description and a query are needed", p.Title)
		}
		ids[p.ID] = true
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] {
				t.Errorf("panel %q has two queries %s", p.Title, q.RefID)
			}
			refs[q.RefID] = true
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies upon %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestDataSources: a dashboard asks no data source but the one that is chosen above it, of its type, so that it works in any
// Grafana, provisioned or imported by hand.
func TestDataSources(t *testing.T) {
	for file, kind := range map[string]string{"docker_logs.json": "prometheus", "logs.json": "loki"} {
		text, err := os.ReadFile("dashboards/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var all struct {
			Templating struct{ List []map[string]any }
			Panels     []map[string]any
		}
		var everything any
		if err := errors.Join(json.Unmarshal(text, &all), json.Unmarshal(text, &everything)); err != nil {
			t.Fatal(err)
		}
		if v := all.Templating.List[0]; v["name"] != "datasource" || v["type"] != "datasource" || v["query"] != kind { // first: the others are asked of it
			t.Errorf("%s: the first variable is %v", file, v)
		}
		asked := 0
		var look func(v any)
		look = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				if s, ok := v["datasource"].(map[string]any); ok {
					asked++
					if s["uid"] != "${datasource}" || s["type"] != kind {
						t.Errorf("%s asks %v", file, s)
					}
				} else if v["datasource"] != nil {
					t.Errorf("%s asks %v", file, v["datasource"])
				}
				for _, x := range v {
					look(x)
				}
			case []any:
				for _, x := range v {
					look(x)
				}
			}
		}
		look(everything)
		for _, p := range all.Panels {
			for _, x := range append([]any{p}, p["targets"].([]any)...) {
				if x.(map[string]any)["datasource"] == nil {
					t.Errorf("%s: the panel %v, or a query of it, names no data source", file, p["title"])
				}
			}
		}
		if asked < 2*len(all.Panels) {
			t.Errorf("%s: only %d data sources were found", file, asked)
		}
	}
}

// TestMetricsExist: the dashboard and the alert rules ask for metrics that there are.
func TestMetricsExist(t *testing.T) {
	document, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile("../prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`log_capturer_\w+`).FindAllString(string(source)+string(alerts), -1)
	if len(all) == 0 {
		t.Fatal("no metric was found at all")
	}
	for _, name := range all {
		plain := regexp.MustCompile(`_seconds_(bucket|sum|count)$`).ReplaceAllString(name, "_seconds")
		if !strings.Contains(string(document), "| `"+plain+"` |") {
			t.Errorf("docker/README.md knows no metric %s", name)
		}
	}
}

// TestPage: values are shown as they are meant, and what has no data says so.
func TestPage(t *testing.T) {
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var panels []Shown
	for _, p := range d.Panels {
		s := Shown{Panel: p}
		for _, q := range p.Targets {
			r := Result{Target: q, Series: []plot.Series{{Name: "<web>", X: []float64{0, 1}, Y: []float64{1, math.NaN()}}}}
			if p.Title == "Lag" {
				r.Series = nil
			}
			if r.Answered() == (p.Title == "Lag") {
				t.Errorf("%s: answered is %v", p.Title, r.Answered())
			}
			s.Results = append(s.Results, r)
		}
		panels = append(panels, s)
	}
	var b bytes.Buffer
	if err := Page(&b, "docker_logs", panels); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"degraded", "no data", "&lt;web&gt;", "Containers", "</svg>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if strings.Contains(b.String(), "<web>") || strings.Contains(b.String(), "NaN") {
		t.Error(b.String())
	}
}
