package page

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"fluent-bit-docker-logs/capture/testkit"
)

// The windows of the tests: what may be seen without scrolling is so high.
const height = 844

var widths = []int{390, 768, 1440}

// laid is a page as the browser laid it out in a window.
type laid struct {
	URL      string
	Width    int
	Over     int      // pixels that the page is wider than its window
	Cut      []string // what does not fit into its own box
	First    float64  // where the name of the first container ends
	Columns  int      // of figures above the containers
	States   []string // in the order of the containers
	Greens   int      // containers whose state is green
	Styled   bool     // the policy let the style in
	Scripted bool     // and the script
}

// sheet shows each page in a frame, whose width is that of its window, and measures it.
const sheet = `<!doctype html><body style="margin:0">%s<pre id="laid"></pre><script>
addEventListener("load", () => {
  const all = [...document.querySelectorAll("iframe")].map(f => {
    const d = f.contentDocument, w = f.contentWindow, $ = s => [...d.querySelectorAll(s)], root = d.documentElement;
    const green = w.getComputedStyle(root).getPropertyValue("--good").trim();
    const first = d.querySelector("#list tbody th bdi, #list tbody td").getBoundingClientRect();
    return {
      URL: f.getAttribute("src"), Width: root.clientWidth, Over: root.scrollWidth - root.clientWidth,
      Cut: $(".tile, .tile dd, .pill, #trouble li, th, td, .last, footer").filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
        .map(e => e.className + " " + e.textContent.trim().slice(0, 60)),
      First: first.bottom, Columns: new Set($("#now .tile").map(e => e.getBoundingClientRect().left)).size,
      States: $("tbody[data-state]").map(e => e.dataset.state), Greens: $("tbody[data-state]").filter(e => w.getComputedStyle(e).getPropertyValue("--c").trim() === green).length,
      Styled: w.getComputedStyle(d.body).maxWidth !== "none", Scripted: d.body.classList.contains("live"),
    };
  });
  document.getElementById("laid").textContent = JSON.stringify(all);
});
</script>`

// TestLayout lays the page out in a browser, at three widths, with none and many containers and each state of the Engine.
// Where PAGE_OUT names a directory it leaves pictures there.
func TestLayout(t *testing.T) {
	show := testkit.Browser(t, "the page was not laid out in a browser")
	mux := http.NewServeMux()
	var frames strings.Builder
	frame := func(width int, url string) {
		fmt.Fprintf(&frames, `<iframe src="%s" style="border:0" width="%d" height="%d"></iframe>`, url, width, height)
	}
	var urls []string
	for _, engine := range []string{up, down, halfBroken} {
		for _, n := range []int{0, 5, 60, 1000} {
			url, text := fmt.Sprintf("/page/%s/%d", engine, n), drawn(t, sample(n, engine), Query{})
			urls = append(urls, url)
			mux.HandleFunc("GET "+url, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Content-Security-Policy", strings.Replace(Policy, "frame-ancestors 'none'", "frame-ancestors 'self'", 1))
				_, _ = fmt.Fprint(w, text) // a browser that goes away waits for none
			})
		}
	}
	for _, url := range urls {
		for _, width := range widths {
			frame(width, url)
		}
	}
	mux.HandleFunc("GET /sheet", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, sheet, frames.String()) })
	s := httptest.NewServer(mux)
	defer s.Close()
	if out := os.Getenv("PAGE_OUT"); out != "" {
		for _, url := range urls {
			name := filepath.Join(out, strings.ReplaceAll(strings.TrimPrefix(url, "/page/"), "/", "-"))
			for _, width := range widths {
				mux.HandleFunc(fmt.Sprintf("GET /one/%d%s", width, url), func(w http.ResponseWriter, _ *http.Request) {
					_, _ = fmt.Fprintf(w, `<body style="margin:0"><iframe src="%s" style="border:0" width="%d" height="%d"></iframe>`, url, width, height)
				})
				show(fmt.Sprintf("%s/one/%d%s", s.URL, width, url), fmt.Sprintf("--screenshot=%s-%d.png", name, width), fmt.Sprintf("--window-size=%d,%d", max(500, width), height))
			}
		}
	}
	m := regexp.MustCompile(`(?s)<pre id="laid">(.*?)</pre>`).FindStringSubmatch(show(s.URL+"/sheet", "--dump-dom"))
	if m == nil {
		t.Fatal("the browser measured nothing")
	}
	var all []laid
	if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &all); err != nil {
		t.Fatalf("%v in %.300s", err, m[1])
	}
	if len(all) != len(urls)*len(widths) {
		t.Fatalf("%d pages were laid out", len(all))
	}
	for i, l := range all {
		name := fmt.Sprintf("%s at %d", l.URL, widths[i%len(widths)])
		if l.Width != widths[i%len(widths)] || !l.Styled || !l.Scripted {
			t.Errorf("%s: %d wide, styled: %t, its script ran: %t", name, l.Width, l.Styled, l.Scripted)
		}
		if l.Over > 0 || len(l.Cut) > 0 {
			t.Errorf("%s: it is %d pixels too wide; cut off: %.300q", name, l.Over, l.Cut)
		}
		if l.First <= 0 || l.First > height {
			t.Errorf("%s: the first container ends at %.0f", name, l.First)
		}
		if narrow := l.Width < 430; narrow != (l.Columns == 1) {
			t.Errorf("%s: the figures stand in %d columns", name, l.Columns)
		}
		if !slices.IsSortedFunc(l.States, func(a, b string) int { return worst[a] - worst[b] }) {
			t.Errorf("%s: trouble is not first: %.300q", name, l.States)
		}
		wantGreens := strings.Contains(l.URL, up) && len(l.States) > 0
		if isDown := strings.Contains(l.URL, down); isDown && l.Greens > 0 || wantGreens && l.Greens == 0 {
			t.Errorf("%s: %d containers are green", name, l.Greens)
		}
	}
}

// TestNoAnswer: a page that gets no answer says so, and nothing on it is green.
func TestNoAnswer(t *testing.T) {
	show := testkit.Browser(t, "the page was not left without an answer")
	var loads atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" || loads.Add(1) > 1 {
			http.Error(w, "no", http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", Policy)
		_, _ = fmt.Fprint(w, drawn(t, sample(5, up), Query{}))
	}))
	defer s.Close()
	text := show(s.URL+"/", "--virtual-time-budget=5000", "--dump-dom")
	if !regexp.MustCompile(`<body class="live stale">(?s:.*)class="pill bad" role="status">no answer since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC<`).MatchString(text) {
		t.Errorf("after %d loads:\n%.3000s", loads.Load(), drawing.ReplaceAllString(text, ""))
	}
	if !strings.Contains(style, ".stale { --good: var(--off); }") {
		t.Error("what is green stays so")
	}
}
