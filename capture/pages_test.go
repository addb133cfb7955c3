package capture_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/testkit"
)

// The page tells which containers are not read, since when, when that is tried again
// and why, and so of the Engine.
func TestPageTellsOfTrouble(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr, "Reader": readerFollow})
	a.show("docker_logs.0")
	a.connected()
	has := func(what string, parts ...string) {
		t.Helper()
		re := regexp.MustCompile(`(?s)` + strings.Join(parts, `(?:<[^>]*>|\s)*`))
		var body string
		defer func() {
			if t.Failed() {
				t.Logf("want %s in\n%s", re, body[strings.Index(body, "<body>"):strings.Index(body, "<footer")])
			}
		}()
		a.waitFor(what, func() bool {
			_, body = ask(t, "GET", "http://"+addr+"/")
			return re.MatchString(body)
		})
	}
	const stamp = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`
	web := e.Run(dockertest.Container{Name: "web"})
	web.Stdout("line")
	a.waitTexts(web.ID, "", 1)
	has("a page without trouble", `role="status">ready<`)
	undo := e.Override(dockertest.Logs, web, dockertest.Answer{Status: 500, Message: "<b>no such thing</b>"})
	web.CutFollowers()
	has("a container that is not read", "ready, 1 not read", `[^§]*aria-label="Trouble">`, `web`, `is not read:`, `since`, stamp, `\(\d+ s\), tried again at`, `[^<]*`,
		"[^<]*&lt;b&gt;no such thing&lt;/b&gt;")
	undo()
	web.Stdout("second")
	a.waitTexts(web.ID, "", 2)
	has("the end of the trouble", `role="status">ready<`)

	none := e.Run(dockertest.Container{Name: "mute", Driver: "none"})
	has("a container that can never be read", "ready, 1 not read", `[^§]*mute`, `is not read:`, `since`, stamp, `\(\d+ s\), not tried again until it is created anew`)
	if h := a.col.Health(); !strings.HasPrefix(h.LastError, "mute: the log of this container cannot be read") {
		t.Errorf("the last error names nobody: %q", h.LastError)
	}
	none.Remove()
	web.Stop()
	a.waitFor("the container's end", func() bool {
		for _, st := range a.col.Streams() {
			if st.State == status.Stopped && st.Since != nil && st.Since.After(a.col.View().Began) {
				return true
			}
		}
		return false
	})

	e.Down()
	has("an Engine that is away", `role="status">no Engine<`, `[^§]*The Engine does not answer:`, `since`, stamp, `\(\d+ m?s\), tried again at`)
	must(t, e.Up())
	has("the Engine's return", `role="status">ready`)
	res, err := testkit.Asking.Get("http://" + addr + "/")
	must(t, err)
	must(t, res.Body.Close())
	if p := res.Header.Get("Content-Security-Policy"); p != page.Policy || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the policy is %q", p)
	}
}

// A container that the Engine does not describe has no stream, and is named and
// counted.
func TestPageNamesWhatIsNotInspected(t *testing.T) {
	e := dockertest.Start(t)
	web := e.Run(dockertest.Container{Name: "web"})
	undo := e.Override(dockertest.Inspect, web, dockertest.Answer{Status: 500, Message: "no idea"})
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	a.connected()
	body := func() string {
		_, body := ask(t, "GET", "http://"+addr+"/")
		return body
	}
	a.waitFor("a container that is not inspected", func() bool { return len(a.col.View().Unanswered) == 1 })
	for _, want := range []string{`role="status">degraded<`, `<b><bdi>web</bdi></b> is not read:`, `data-state="not inspected"`, "no idea", "Containers, 1 not read"} {
		if text := body(); !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text[strings.Index(text, "<body>"):strings.Index(text, "<footer")])
		}
	}
	undo()
	a.waitFor("the end of the trouble", func() bool { return strings.Contains(body(), `role="status">ready<`) })
}

// The page shows, in a browser, what the capture does, and goes on doing so.
func TestPageInABrowser(t *testing.T) {
	show := testkit.Browser(t, "the page was not shown in a browser")
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	a.connected()
	c := e.Run(dockertest.Container{Name: "web<b>"})
	c.Stdout(sequence("stdout", 0, 1234)...)
	a.waitTexts(c.ID, "", 1234)
	a.waitFor("a stream in sync", func() bool { return a.col.Streams()[0].State == status.Reading })
	page, err := url.Parse("http://" + addr)
	must(t, err)
	through := httputil.NewSingleHostReverseProxy(page)
	through.Transport = testkit.Asking.Transport
	var loads atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if loads.Add(1) == 2 { // of the same page
			c.Stdout("one more")
			for tick := time.NewTicker(2 * time.Millisecond); a.col.Streams()[0].Lines != 1235 && r.Context().Err() == nil; {
				<-tick.C
			}
		}
		through.ServeHTTP(w, r)
	}))
	defer s.Close()
	dom := show(s.URL+"/", "--virtual-time-budget=5000", "--dump-dom")
	for _, want := range []string{`class="pill good" role="status">ready<`, ">web&lt;b&gt;<", container.ShortID(c.ID), ">1235<", ">follow ", ">nothing was lost<", `<body class="live">`} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page lacks %q:\n%s", want, dom)
		}
	}
}
