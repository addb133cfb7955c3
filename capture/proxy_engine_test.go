package capture_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/docker/enginetest"
)

// engineProxy stands in front of a real Engine's socket. It refuses some requests
// and lets others wait, by their paths without the API version.
type engineProxy struct {
	host string

	mu     sync.Mutex
	refuse *regexp.Regexp // guarded by mu
	allow  *regexp.Regexp // guarded by mu: what does not match is refused, unless nil
	hang   *regexp.Regexp // guarded by mu
	free   chan struct{}  // guarded by mu: closed when those that hang go on
}

var apiVersion = regexp.MustCompile(`^/v[0-9.]+`)

func inFrontOf(t *testing.T, e *enginetest.Engine) *engineProxy {
	t.Helper()
	p := &engineProxy{}
	engine := strings.TrimPrefix(e.Host, "unix://")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", engine)
	}}
	through := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	must(t, err)
	socket := filepath.Join(dir, "docker.sock")
	l, err := net.Listen("unix", socket)
	must(t, err)
	p.host = "unix://" + socket
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := apiVersion.ReplaceAllString(r.URL.Path, "")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s is no read", r.Method, path)
		}
		p.mu.Lock()
		refused := p.refuse != nil && p.refuse.MatchString(path) || p.allow != nil && !p.allow.MatchString(path)
		hangs, free := p.hang != nil && p.hang.MatchString(path), p.free
		p.mu.Unlock()
		if refused {
			http.Error(w, "<html>Forbidden</html>", http.StatusForbidden)
			return
		}
		if hangs {
			select {
			case <-free:
			case <-r.Context().Done():
				return
			}
		}
		through.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		transport.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	})
	return p
}

// refuses has the paths refused that match as a whole.
func (p *engineProxy) refuses(paths string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = regexp.MustCompile("^(?:" + paths + ")$")
}

// allows has all other paths refused.
func (p *engineProxy) allows(paths string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allow = regexp.MustCompile("^(?:" + paths + ")$")
}

// hangs has requests for the paths wait until release is called.
func (p *engineProxy) hangs(paths string) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hang, p.free = regexp.MustCompile("^(?:"+paths+")$"), make(chan struct{})
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.hang = nil
		close(p.free)
	}
}

// impatient is as soon, with time for an Engine that is busy.
func impatient(c *capture.Config) {
	c.ResyncInterval = 100 * time.Millisecond
	c.SetCallTimeout(1500 * time.Millisecond)
}

// hold is a container that writes a hundred lines and stays.
func hold(t *testing.T, e *enginetest.Engine, name string) *enginetest.Container {
	t.Helper()
	return e.Run(t, enginetest.Options{Name: name, Args: []string{"-lines=100", "-rate=100", "-hold"}})
}

// A proxy that filters, in front of a real Engine: what it may refuse stops
// nothing.
func TestEngineRefusals(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for name, refused := range map[string]string{
			"version and info": "/version|/info",
			"events and ping":  "/events|/_ping",
		} {
			t.Run(name, func(t *testing.T) {
				run := fmt.Sprintf("refused-%d", time.Now().UnixNano())
				p := inFrontOf(t, e)
				p.refuses(refused)
				a := startAgent(t, p.host, map[string]string{"Include": run, "Resync_Interval": "1s", "Reader": "follow"})
				a.connected()
				c := hold(t, e, run)
				a.waitTexts(c.ID, "", 100)
				numbered(t, "stdout", 100, a.texts(c.ID, ""))
				if h := a.col.Health(); !h.Engine.Reachable || h.Engine.API == "" {
					t.Errorf("%+v", h.Engine)
				}
				if said := strings.Contains(a.log.String(), "the Engine's events are refused"); said != strings.Contains(refused, "/events") {
					t.Errorf("that events are refused is said: %v", said)
				}
			})
		}
	})
}

// What docker/TROUBLESHOOTING.md says that a filtering proxy must allow is enough.
func TestEngineAllowedPaths(t *testing.T) {
	document, err := os.ReadFile(troubleshooting)
	must(t, err)
	_, text, ok := strings.Cut(string(document), "A filtering proxy must allow")
	text, _, ok2 := strings.Cut(text, "\n\n")
	if !ok || !ok2 {
		t.Fatal(troubleshooting + " says nothing of a proxy")
	}
	var allowed []string
	for _, m := range regexp.MustCompile("`(/[^`]+)`").FindAllStringSubmatch(text, -1) {
		if m[1] != "/info" && !strings.HasPrefix(m[1], "/v1.") { // may be refused; an example
			allowed = append(allowed, strings.ReplaceAll(m[1], "{id}", "[0-9a-f]+"))
		}
	}
	if len(allowed) != 6 {
		t.Fatalf("%s names %q", troubleshooting, allowed)
	}
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		run := fmt.Sprintf("allowed-%d", time.Now().UnixNano())
		p := inFrontOf(t, e)
		p.allows(strings.Join(allowed, "|"))
		a := startAgent(t, p.host, map[string]string{"Include": run})
		a.connected()
		c := hold(t, e, run)
		a.waitTexts(c.ID, "", 100)
		numbered(t, "stdout", 100, a.texts(c.ID, ""))
		c.Remove()
		a.waitFor("its end", func() bool { return a.running() == 0 })
		if strings.Contains(a.log.String(), "refused") || !a.col.Health().Ready {
			t.Errorf("problems: %s", a.col.Health().Problems)
		}
	})
}

// An inspect of a real Engine that hangs, as with a mount that does, concerns its
// container alone, which is captured by what the list tells.
func TestEngineHangingInspect(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		run := fmt.Sprintf("hanging-%d", time.Now().UnixNano())
		stuck, before := hold(t, e, run+"-stuck"), hold(t, e, run+"-before")
		p := inFrontOf(t, e)
		release := p.hangs("/containers/" + stuck.ID + "/json")
		a := startAgent(t, p.host, map[string]string{"Include": run + "*", "Start_From": "beginning"}, impatient)
		a.connected()
		a.waitLog("a container could not be inspected, it is tried again\" container=" + run + "-stuck")
		a.waitTexts(before.ID, "", 100)
		after := hold(t, e, run+"-after")
		a.waitTexts(after.ID, "", 100)
		if h := a.col.Health(); !h.Engine.Reachable || !strings.Contains(strings.Join(h.Problems, ";"), "could not be inspected") {
			t.Errorf("%+v", h)
		}
		release()
		a.waitTexts(stuck.ID, "", 100)
		a.waitFor("the health", func() bool { return a.col.Health().Ready })
		for _, c := range []*enginetest.Container{stuck, before, after} {
			numbered(t, "stdout", 100, a.texts(c.ID, ""))
		}
	})
}

// While a list of a real Engine hangs, containers that come are captured, and it
// is told.
func TestEngineHangingList(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		run := fmt.Sprintf("listing-%d", time.Now().UnixNano())
		p := inFrontOf(t, e)
		a := startAgent(t, p.host, map[string]string{"Include": run + "*"}, impatient)
		a.connected()
		release := p.hangs("/containers/json")
		a.waitLog("listing the containers failed, it is tried again")
		c := hold(t, e, run)
		a.waitTexts(c.ID, "", 100)
		if h := a.col.Health(); !h.Engine.Reachable || !strings.Contains(strings.Join(h.Problems, ";"), "does not list its containers") {
			t.Errorf("%+v", h)
		}
		release()
		a.waitLog("listing the containers works again")
		a.waitFor("the health", func() bool { return a.col.Health().Ready })
		numbered(t, "stdout", 100, a.texts(c.ID, ""))
	})
}
