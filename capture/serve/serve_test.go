package serve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var must = testkit.Must

// input is an instance that is as the test says.
type input struct {
	view  status.View
	away  time.Duration
	fails bool // whatever is asked of it panics

	mu    sync.Mutex
	log   bytes.Buffer      // guarded by mu
	lines map[string]uint64 // guarded by mu
}

func (in *input) View() *status.View {
	if in.fails {
		panic("no view")
	}
	v := in.view
	return &v
}
func (in *input) Away() time.Duration { return in.away }
func (in *input) Lines(yield func(string, uint64) bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for id, n := range in.lines {
		if !yield(id, n) {
			return
		}
	}
}

func (in *input) Write(b []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.Write(b)
}

// said is how often the log has a text.
func (in *input) said(text string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return strings.Count(in.log.String(), text)
}

// as is how the input is shown.
func (in *input) as(name string) Input {
	return Input{
		Name: name, Instance: in, Metrics: prometheus.NewRegistry(), Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(in, nil)), Panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"}),
	}
}

// show shows an input until the test ends.
func show(t *testing.T, addr, name string) *input {
	in := &input{}
	t.Cleanup(Show(addr, in.as(name)))
	return in
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := enginetest.FreeAddr()
	must(t, err)
	return addr
}

// waitFor blocks until ok, asked now and then, is true.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// A port that is taken, and a name that is, are warnings; the capture goes on.
func TestTakenAddressIsAWarning(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	in := show(t, l.Addr().String(), "docker_logs.0")
	if in.said("option Metrics_Listen: the address cannot be used") != 1 || in.said(l.Addr().String()) == 0 {
		t.Errorf("it says\n%s", &in.log)
	}
	must(t, l.Close())
	waitFor(t, "the address", func() bool { return in.said("metrics are served") == 1 }) // as soon as it is free
	if code, _ := testkit.Ask(t, "GET", "http://"+l.Addr().String()+"/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}

	show(t, "127.0.0.1:0", "same")
	if second := show(t, "127.0.0.1:0", "same"); second.said("two inputs have the same name") != 1 {
		t.Errorf("it says\n%s", &second.log)
	}
	if in := show(t, "", "docker_logs.0"); in.log.Len() > 0 {
		t.Errorf("without an address it says\n%s", &in.log)
	}
}

// A panic ends in an answer, and is counted and said.
func TestPanicsStayInside(t *testing.T) {
	in := &input{fails: true}
	e := &endpoint{busy: make(supervise.Semaphore, maxRequests)}
	shows := &shown{Input: in.as("docker_logs.0")}
	e.add(shows)
	for i, path := range []string{"/readyz", "/streams", "/"} {
		w := httptest.NewRecorder()
		e.handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 500 || in.said("a panic was caught while metrics or health were asked for") != i+1 {
			t.Errorf("%s: %d, the log says\n%s", path, w.Code, &in.log)
		}
	}
	w := httptest.NewRecorder()
	if e.handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil)); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
}

// An agent that Fluent Bit has left alone is not alive.
func TestHealthz(t *testing.T) {
	in := &input{away: 2 * time.Minute}
	e := &endpoint{}
	e.add(&shown{Input: in.as("docker_logs.0")})
	w := httptest.NewRecorder()
	e.handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != 503 || w.Body.String() != "docker_logs.0: Fluent Bit has not come by for 2m0s while records wait for it\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// What inputs count stands together, by name, and what fails of one hides no other.
func TestMetricsOfAllInputs(t *testing.T) {
	e := &endpoint{busy: make(supervise.Semaphore, maxRequests)}
	for i, name := range []string{"docker_logs.0", "other"} {
		reg := prometheus.NewRegistry()
		of := prometheus.WrapRegistererWith(prometheus.Labels{"instance": name}, reg)
		for _, metric := range []string{"b_total", "a_total"} {
			c := prometheus.NewCounter(prometheus.CounterOpts{Name: metric, Help: "Text."})
			c.Add(float64(i + 1))
			of.MustRegister(c)
		}
		in := (&input{}).as(name)
		in.Metrics = reg
		if i == 1 {
			in.Metrics = prometheus.Gatherers{reg, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("broken") })}
		}
		e.add(&shown{Input: in})
	}
	w := httptest.NewRecorder()
	e.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	want := `# HELP a_total Text.
# TYPE a_total counter
a_total{instance="docker_logs.0"} 1
a_total{instance="other"} 2
# HELP b_total Text.
# TYPE b_total counter
b_total{instance="docker_logs.0"} 1
b_total{instance="other"} 2
`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
}

// A container that could not be inspected is shown, and not twice if it is read. Of
// what the page shows anyway no problem is made.
func TestPageShowsEachOnce(t *testing.T) {
	e := &endpoint{version: "1.2.3"}
	why := errors.New("no answer")
	in := &input{view: status.View{
		Streams:    []status.Stream{{ID: "1", Name: "read", State: status.Reading, Runs: true}, {ID: "2", Name: "both", State: status.Retrying, Runs: true, Fails: true, FailsFor: time.Hour}},
		Unanswered: []discovery.Unanswered{{ID: "2", Name: "both", Why: why}, {ID: "3", Name: "mute", Why: why}},
		NearlyFull: "/d",
	}}
	e.add(&shown{Input: in.as("docker_logs.0")})
	have := func() (names, problems []string) {
		s := e.status()
		for _, c := range s.Containers {
			names = append(names, c.Name)
		}
		return names, s.Instances[0].Problems
	}
	names, problems := have()
	if !slices.Equal(names, []string{"both", "read", "mute"}) {
		t.Errorf("containers %v", names)
	}
	if !slices.Equal(problems, []string{"2 containers could not be inspected: both, mute", "a disk is nearly full: /d"}) {
		t.Errorf("problems %q", problems)
	}
	in.view.Unanswered = in.view.Unanswered[1:]
	if _, problems = have(); !slices.Equal(problems, []string{"a disk is nearly full: /d"}) {
		t.Errorf("problems %q", problems)
	}
	r := e.readiness()
	want := []string{"the Engine does not answer", "1 containers could not be inspected: mute", "a disk is nearly full: /d", "reading fails all the time for 1 containers: both"}
	if r.Ready || r.Version != "1.2.3" || !slices.Equal(r.Instances[0].Problems, want) {
		t.Errorf("%+v", r)
	}
}

// How many lines a second came is counted for as long as an endpoint is there.
func TestLinesAreCountedForThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &input{lines: map[string]uint64{"web": 0, page.AllLines: 0}}
		e, in := &endpoint{}, &shown{Input: source.as("docker_logs.0")}
		e.add(in)
		ctx, cancel := context.WithCancel(t.Context())
		e.ending.Go(func() { e.sample(ctx) })
		time.Sleep(page.Every + time.Second)
		for _, lines := range []uint64{50, 0, 5} {
			source.mu.Lock()
			for id := range source.lines {
				source.lines[id] += lines
			}
			source.mu.Unlock()
			time.Sleep(page.Every)
		}
		for _, id := range []string{"web", page.AllLines} {
			if got := in.history.Rates(id); !slices.Equal(got, []float32{10, 0, 1}) {
				t.Errorf("%q: %v lines a second", id, got)
			}
		}
		cancel()
		e.ending.Wait()
	})
}

// Connections that idle make room for others, at any number.
func TestConnectionsAreBounded(t *testing.T) {
	addr := freeAddress(t)
	show(t, addr, "docker_logs.0")
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
		if code, _ := testkit.Ask(t, "GET", "http://"+addr+"/healthz"); code != 200 {
			t.Errorf("/healthz: %d", code)
		}
	}
	if n := p.conns.len(); n > maxConns+reserveConns {
		t.Errorf("%d connections are open", n)
	}
	for _, conn := range open {
		_ = conn.Close()
	}
	waitFor(t, "room", func() bool { return p.conns.len() == 0 })
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
	addr := freeAddress(t)
	show(t, addr, "docker_logs.0")
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
			res, err := testkit.Asking.Do(req)
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
	e := &endpoint{busy: make(supervise.Semaphore, maxRequests)}
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
	mux := (&endpoint{busy: make(supervise.Semaphore)}).handler() // as if all were taken
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
