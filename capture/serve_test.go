package capture

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// asking keeps no connection, so that goleak sees none.
var asking = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: waitTime}

func ask(t *testing.T, method, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	must(t, err)
	res, err := asking.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(b)
}

// show shows an agent under a name, as the plugin does.
func (a *agent) show(name string) (hide func()) {
	metrics := prometheus.NewRegistry()
	must(a.t, prometheus.WrapRegistererWith(prometheus.Labels{"instance": name}, metrics).Register(a.reg))
	hide = a.col.Show(name, metrics)
	a.t.Cleanup(hide)
	return hide
}

// Two instances share one address, which is free again when both have gone.
func TestInstancesShareAnAddress(t *testing.T) {
	e := dockertest.Start(t)
	e.Run(dockertest.Container{Name: "web"}).Stdout("line")
	opts := map[string]string{"Metrics_Listen": freeAddress(t), "Start_From": "beginning"}
	url := "http://" + opts["Metrics_Listen"]
	for range 3 { // as hot reloads do
		first, second := startAgent(t, e.Host(), opts), startAgent(t, e.Host(), opts)
		hideFirst, hideSecond := first.show("docker_logs.0"), second.show("other")
		first.waitRecords(1)
		second.waitRecords(1)
		_, body := ask(t, "GET", url+"/metrics")
		for _, want := range []string{`log_capturer_lines_total{instance="docker_logs.0"} 1`, `log_capturer_lines_total{instance="other"} 1`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in\n%s", want, body)
			}
		}
		hideFirst()
		first.stop()
		if _, body = ask(t, "GET", url+"/metrics"); strings.Contains(body, "docker_logs.0") || !strings.Contains(body, "other") {
			t.Error("an instance that has gone is shown, or one that has not is not")
		}
		second.stop()
		hideSecond()
		l, err := net.Listen("tcp", opts["Metrics_Listen"])
		must(t, err)
		must(t, l.Close())
	}
}

// A port that is taken, and a name that is, are warnings; the capture goes on.
func TestTakenAddressIsAWarning(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": l.Addr().String()})
	a.show("docker_logs.0")
	a.waitLog("option Metrics_Listen: the address cannot be used")
	a.waitLog(l.Addr().String())
	a.connected()

	b := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": "127.0.0.1:0"})
	b.show("same")
	b.show("same")
	b.waitLog("two inputs have the same name")
	must(t, l.Close())

	off := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": "off"})
	off.show("docker_logs.0")
	if strings.Contains(off.log.String(), "metrics are served") {
		t.Error("Metrics_Listen off serves")
	}
}

// What is asked for is answered as the state is, and only that.
func TestHealthAndStreams(t *testing.T) {
	e := dockertest.Start(t)
	opts := map[string]string{"Metrics_Listen": freeAddress(t), "Reader": readerFollow}
	url := "http://" + opts["Metrics_Listen"]
	a := startAgent(t, e.Host(), opts)
	a.show("docker_logs.0")
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("a", "b")
	a.waitTexts(c.ID, "", 2)

	if code, body := ask(t, "GET", url+"/healthz"); code != 200 || body != "alive\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	ready := func() (int, readiness) {
		code, body := ask(t, "GET", url+"/readyz")
		var r readiness
		must(t, json.Unmarshal([]byte(body), &r))
		return code, r
	}
	code, r := ready()
	if h := r.Instances[0]; code != 200 || !r.Ready || !h.Ready || h.Instance != "docker_logs.0" || !h.Engine.Reachable || h.Engine.Version == "" ||
		h.Streams[readerFollow] != 1 || h.Totals.Lines != 2 || h.FDs.Process == 0 || h.FDs.Connections == 0 {
		t.Errorf("/readyz: %d %+v", code, r)
	}
	a.waitFor("a stream in sync", func() bool { return a.col.Streams()[0].State == streamReading })
	_, body := ask(t, "GET", url+"/streams")
	var all []StreamStatus
	must(t, json.Unmarshal([]byte(body), &all))
	if len(all) != 1 || all[0].ID != shortID(c.ID) || all[0].Name != "web" || all[0].Reader != readerFollow || all[0].Lines != 2 ||
		all[0].Position == nil || all[0].Age <= 0 || all[0].LastError != "" {
		t.Errorf("/streams: %s", body)
	}
	if code, body := ask(t, "GET", url+"/"); code != 200 || !strings.Contains(body, "<title>docker_logs</title>") {
		t.Errorf("/: %d %.100q", code, body)
	}
	for _, wrong := range []struct {
		method, path string
		code         int
	}{{"POST", "/readyz", 405}, {"DELETE", "/", 405}, {"GET", "/nothing", 404}} {
		if code, _ := ask(t, wrong.method, url+wrong.path); code != wrong.code {
			t.Errorf("%s %s: %d", wrong.method, wrong.path, code)
		}
	}

	e.Down()
	a.waitFor("the Engine's absence to be seen", func() bool { up, _ := a.col.conn.get(); return !up })
	a.waitLog("the Engine does not answer")
	code, r = ready()
	if h := r.Instances[0]; code != 503 || r.Ready || len(h.Problems) == 0 || h.LastError == "" || h.LastErrorAt == nil {
		t.Errorf("/readyz without an Engine: %d %+v", code, r)
	}
	must(t, e.Up())
	a.waitFor("the Engine's return", func() bool { return a.col.Health().Ready })
}

// A panic, of a handler or of what reads a metric, ends in an answer.
func TestPanicsStayInside(t *testing.T) {
	e := dockertest.Start(t)
	opts := map[string]string{"Metrics_Listen": freeAddress(t)}
	a := startAgent(t, e.Host(), opts)
	must(t, a.reg.Register(&reading{desc("broken", "Panics."), prometheus.GaugeValue, func(setValue) { panic("broken") }}))
	a.show("docker_logs.0")
	if code, body := ask(t, "GET", "http://"+opts["Metrics_Listen"]+"/metrics"); code != 200 || !strings.Contains(body, "log_capturer_lines_total") {
		t.Errorf("/metrics: %d %s", code, body)
	}
	h := endpoints.byAddr[opts["Metrics_Listen"]].guarded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("handler") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 500 || !strings.Contains(a.log.String(), "a panic was caught while metrics or health were asked for") {
		t.Errorf("%d, the log says\n%s", w.Code, a.log)
	}
}

// Connections beyond the bound are turned away, and their end makes room.
func TestConnectionsAreBounded(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	var open []net.Conn
	for range maxConns + 1 {
		conn, err := net.Dial("tcp", addr)
		must(t, err)
		open = append(open, conn)
	}
	closed := make(chan struct{}, len(open))
	for _, conn := range open {
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			closed <- struct{}{}
		}()
	}
	select {
	case <-closed:
	case <-time.After(waitTime):
		t.Error("all connections are kept")
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	for range len(open) - 1 {
		<-closed
	}
	p := endpoints.byAddr[addr]
	a.waitFor("room", func() bool { return p.conns.Load() == 0 })
	if code, _ := ask(t, "GET", "http://"+addr+"/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
}
