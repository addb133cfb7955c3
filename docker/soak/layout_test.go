package soak

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/grafana"
	"fluent-bit-docker-logs/docker/plot"
)

// measure shows a page in frames of some widths and tells what of it is cut off.
const measure = `<!doctype html>%s<pre id="cut"></pre><script>
addEventListener("load", () => {
  const cut = [];
  for (const f of document.querySelectorAll("iframe")) {
    const d = f.contentDocument, root = d.documentElement, at = f.getAttribute("src") + " at " + root.clientWidth + ": ";
    if (root.scrollWidth > root.clientWidth) cut.push(at + "the page is " + root.scrollWidth + " wide");
    if (root.clientWidth > 1000) for (const p of d.querySelectorAll(".panel")) if (p.scrollWidth > p.clientWidth) cut.push(at + "a table of " + p.clientWidth + " is " + p.scrollWidth + " wide: " + p.textContent.trim().slice(0, 40));
    for (const svg of d.querySelectorAll("svg")) for (const t of svg.querySelectorAll("text")) {
      const b = t.getBBox();
      if (b.x < 0 || b.x + b.width > svg.viewBox.baseVal.width) cut.push(at + svg.getAttribute("aria-label") + ": " + t.textContent);
    }
    for (const v of d.querySelectorAll("td.pass, td.fail")) if (v.getBoundingClientRect().right > root.clientWidth) cut.push(at + "a verdict is out of sight");
  }
  document.getElementById("cut").textContent = JSON.stringify(cut);
});
</script>`

// large is the result of a run whose figures have many digits.
func large() *Result {
	r := good()
	for i := range r.Samples {
		s := &r.Samples[i]
		s.RSS, s.Lines, s.Lag, s.Heartbeat, s.StreamAge = 1.234e9+3e6*float64(i), 123_456*i, 140, 12.34, 29.8
	}
	for i, c := range r.Checkpoints {
		c.RSS, c.Lines, c.Goroutines, c.FDs, c.Threads = 1.234e9+3e6*float64(i), 123_456*i, 1254, 1101+float64(i), 114+float64(i)
		c.StreamAge, c.Heartbeat = 29.8, 12.34
	}
	hours := plot.Series{Name: "lines", X: []float64{0, 1800}, Y: []float64{0, 1234567}}
	p := grafana.Shown{}
	p.Title, p.Type = "Lines a second", "timeseries"
	p.Results = []grafana.Result{{Series: []plot.Series{hours}}}
	r.Dashboard = []grafana.Shown{p}
	return r
}

// TestNothingIsCut: in a browser the last tick of each chart and the last column of each table are whole, and on a phone the
// verdicts are in sight.
func TestNothingIsCut(t *testing.T) {
	show := testkit.Browser(t, "the reports were not laid out in a browser")
	dir := t.TempDir()
	paths, err := large().Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	var frames strings.Builder
	for _, name := range []string{"report.html", "dashboard.html"} {
		if !slices.Contains(paths, filepath.Join(dir, name)) {
			t.Fatalf("%s was not written", name)
		}
		for _, width := range []int{390, 768, pageWidth} {
			fmt.Fprintf(&frames, `<iframe src="%s" width="%d" height="900" style="border:0"></iframe>`, name, width)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /sheet", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, measure, frames.String()) })
	s := httptest.NewServer(mux)
	defer s.Close()
	m := regexp.MustCompile(`(?s)<pre id="cut">(.+?)</pre>`).FindStringSubmatch(show(s.URL+"/sheet", "--dump-dom"))
	var cut []string
	if m == nil || json.Unmarshal([]byte(html.UnescapeString(m[1])), &cut) != nil {
		t.Fatalf("the browser measured nothing: %q", m)
	}
	if len(cut) > 0 {
		t.Errorf("cut off:\n%s", strings.Join(cut, "\n"))
	}
}
