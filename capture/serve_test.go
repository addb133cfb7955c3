package capture

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := enginetest.FreeAddr()
	must(t, err)
	return addr
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
		if n := strings.Count(first.log.String(), "metrics are served"); n != 1 {
			t.Errorf("it is said %d times that metrics are served", n)
		}
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
	must(t, l.Close())
	a.waitLog("metrics are served") // as soon as it is free
	if code, _ := ask(t, "GET", "http://"+l.Addr().String()+"/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}

	b := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": "127.0.0.1:0"})
	b.show("same")
	b.show("same")
	b.waitLog("two inputs have the same name")

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
	if len(all) != 1 || all[0].ID != c.ID || all[0].Name != "web" || all[0].Reader != readerFollow || all[0].Lines != 2 ||
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
	a.waitFor("the Engine's absence to be seen", func() bool { up, _ := a.col.conn.Get(); return !up })
	a.waitLog("the Engine does not answer")
	code, r = ready()
	if h := r.Instances[0]; code != 503 || r.Ready || len(h.Problems) == 0 || h.LastError == "" || h.LastErrorAt == nil ||
		h.Engine.Since.Before(h.Since) || h.Engine.NextTry == nil || h.Engine.NextTry.Before(h.Engine.Since) || h.Engine.Error == "" {
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

// Connections that idle make room for others, at any number.
func TestConnectionsAreBounded(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	p := endpoints.byAddr[addr]
	var open []net.Conn
	for i := range 2 * maxConns {
		conn, err := net.Dial("tcp", addr)
		must(t, err)
		open = append(open, conn)
		if i%2 == 0 { // some have asked for something before
			_, err = conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			must(t, err)
		}
	}
	for range 10 {
		if code, _ := ask(t, "GET", "http://"+addr+"/healthz"); code != 200 {
			t.Errorf("/healthz: %d", code)
		}
	}
	if n := p.conns.len(); n > maxConns+reserveConns {
		t.Errorf("%d connections are open", n)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	a.waitFor("room", func() bool { return p.conns.len() == 0 })
}

// addrConn is a connection from one address to another that does nothing.
type addrConn struct {
	net.Conn
	from, to string
	closed   bool
}

func (c *addrConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from)} }
func (c *addrConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.ParseIP(c.to)} }
func (c *addrConn) Close() error         { c.closed = true; return nil }

// While others keep all connections busy, a health check of this machine has its
// own.
func TestReserveOfConnections(t *testing.T) {
	var table connTable
	come := func(from string) *addrConn {
		c := &addrConn{from: from, to: "10.0.0.1"}
		table.state(c, http.StateNew)
		table.state(c, http.StateActive)
		if c.closed {
			table.state(c, http.StateClosed)
		}
		return c
	}
	for range maxConns {
		if come("10.0.0.9").closed {
			t.Fatal("turned away within the bound")
		}
	}
	if !come("10.0.0.9").closed {
		t.Error("one too many is kept")
	}
	for range reserveConns / 2 {
		if come("127.0.0.1").closed || come("10.0.0.1").closed {
			t.Fatal("turned away though it is of this machine")
		}
	}
	if !come("127.0.0.1").closed || table.len() != maxConns+reserveConns {
		t.Errorf("%d are kept", table.len())
	}
}

// On loopback only names of this machine are answered: any other is a web page's.
func TestHostIsChecked(t *testing.T) {
	e := dockertest.Start(t)
	addr := freeAddress(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": addr})
	a.show("docker_logs.0")
	own, err := os.Hostname()
	must(t, err)
	for host, code := range map[string]int{
		"evil.example": 421, "evil.example:8001": 421, "localhost.evil.example": 421,
		"": 200, "localhost": 200, "LOCALHOST:8001": 200, "127.0.0.1": 200, "[::1]:8001": 200, addr: 200, own: 200,
	} {
		for _, path := range []string{"/streams", "/", "/healthz", "/metrics"} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
			must(t, err)
			req.Host = host
			res, err := asking.Do(req)
			must(t, err)
			must(t, res.Body.Close())
			if res.StatusCode != code {
				t.Errorf("Host %q, %s: %d, want %d", host, path, res.StatusCode, code)
			}
		}
	}
}

// Of what costs something only a few requests are worked on at a time.
func TestRequestsAreBounded(t *testing.T) {
	e := &endpoint{busy: make(semaphore, maxRequests)}
	release := make(chan struct{})
	var working, most atomic.Int32
	h := e.inTurn(func(http.ResponseWriter, *http.Request) {
		if n := working.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-release
		working.Add(-1)
	})
	var wg sync.WaitGroup
	for range 10 * maxRequests {
		wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) })
	}
	for working.Load() < maxRequests {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as busyTime does
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	if w.Code != http.StatusTooManyRequests {
		t.Errorf("one more: %d", w.Code)
	}
	close(release)
	wg.Wait()
	if most.Load() > maxRequests {
		t.Errorf("%d at a time", most.Load())
	}
	mux := (&endpoint{busy: make(semaphore)}).handler() // as if all were taken
	w = httptest.NewRecorder()
	if mux.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil)); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
	for _, path := range []string{"/metrics", "/readyz", "/streams", "/"} {
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil).WithContext(ctx)); w.Code != http.StatusTooManyRequests {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
