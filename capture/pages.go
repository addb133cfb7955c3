package capture

import (
	"context"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/supervise"
)

//go:embed page.html
var page []byte

// busyTime is how long a request waits while maxRequests others are worked on.
const busyTime = 5 * time.Second

// handler serves what can be asked for; it only reads.
func (e *endpoint) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.inTurn(promhttp.HandlerFor(prometheus.GathererFunc(e.gather), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // one metric that fails hides no other
	}).ServeHTTP))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, s := range e.instances() {
			if away := s.col.away(); away > 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = fmt.Fprintf(w, "%s: Fluent Bit has not come by for %s while records wait for it\n", s.name, away.Round(time.Second))
				return
			}
		}
		_, _ = w.Write([]byte("alive\n"))
	})
	mux.Handle("GET /readyz", e.inTurn(func(w http.ResponseWriter, _ *http.Request) {
		ready := e.readiness()
		code := http.StatusOK
		if !ready.Ready {
			code = http.StatusServiceUnavailable
		}
		writeJSON(w, code, ready)
	}))
	mux.Handle("GET /streams", e.inTurn(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, e.streams())
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write(page)
	})
	return e.guarded(mux)
}

// inTurn bounds the requests that are worked on at a time. /healthz, which costs
// nothing, is not among them: who asks much cannot make it fail.
func (e *endpoint) inTurn(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), busyTime)
		defer cancel()
		release, err := e.busy.acquire(ctx)
		if err != nil {
			http.Error(w, "too many requests at a time", http.StatusTooManyRequests)
			return
		}
		defer release()
		h(w, r)
	})
}

// named says whether the request is for a name that this machine may have. What
// comes through the loopback interface for any other was sent by a web page: its
// own name was made to lead here (DNS rebinding), so that it may read the answer.
func (e *endpoint) named(r *http.Request) bool {
	here, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !here.IP.IsLoopback() {
		return true
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	if name == "" || net.ParseIP(strings.Trim(name, "[]")) != nil || strings.EqualFold(name, "localhost") {
		return true // an address is what no name leads to
	}
	configured, _, _ := net.SplitHostPort(e.name)
	own, _ := os.Hostname()
	return strings.EqualFold(name, configured) || strings.EqualFold(name, own)
}

// guarded refuses what has the wrong name, and answers 500 where h panics.
func (e *endpoint) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if !e.named(r) {
			http.Error(w, "this is not the machine of that name", http.StatusMisdirectedRequest)
			return
		}
		err := supervise.Catch(func() error { h.ServeHTTP(w, r); return nil })
		if err == nil {
			return
		}
		if all := e.instances(); len(all) > 0 {
			all[0].col.metrics.panics.Inc()
			all[0].col.log.Error("a panic was caught while metrics or health were asked for", "path", r.URL.Path, "panic", err)
		}
		http.Error(w, "internal error", http.StatusInternalServerError)
	})
}

// gather implements prometheus.Gatherer for all instances.
func (e *endpoint) gather() ([]*dto.MetricFamily, error) {
	var all prometheus.Gatherers
	for _, s := range e.instances() {
		all = append(all, s.metrics)
	}
	return all.Gather()
}

// readiness is the answer to /readyz.
type readiness struct {
	Ready     bool     `json:"ready"` // each instance is
	Version   string   `json:"version"`
	Instances []Health `json:"instances"`
}

func (e *endpoint) readiness() readiness {
	r := readiness{Ready: true, Version: Version(), Instances: []Health{}}
	for _, s := range e.instances() {
		h := s.col.Health()
		h.Instance = s.name
		r.Ready = r.Ready && h.Ready
		r.Instances = append(r.Instances, h)
	}
	return r
}

// streams is the answer to /streams.
func (e *endpoint) streams() []StreamStatus {
	all := []StreamStatus{}
	for _, s := range e.instances() {
		for _, st := range s.col.Streams() {
			st.Instance = s.name
			all = append(all, st)
		}
	}
	return all
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client went away
}
