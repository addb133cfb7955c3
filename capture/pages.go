package capture

import (
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

//go:embed page.html
var page []byte

// maxScrapes bounds the requests for metrics that are worked on at a time.
const maxScrapes = 4

// handler serves what can be asked for; it only reads.
func (e *endpoint) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.GathererFunc(e.gather), promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError, // one metric that fails hides no other
		MaxRequestsInFlight: maxScrapes,
	}))
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
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		ready := e.readiness()
		code := http.StatusOK
		if !ready.Ready {
			code = http.StatusServiceUnavailable
		}
		writeJSON(w, code, ready)
	})
	mux.HandleFunc("GET /streams", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, e.streams())
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = w.Write(page)
	})
	return e.guarded(mux)
}

// guarded answers 500 where h panics.
func (e *endpoint) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		err := guard(func() error { h.ServeHTTP(w, r); return nil })
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
	Instances []Health `json:"instances"`
}

func (e *endpoint) readiness() readiness {
	r := readiness{Ready: true, Instances: []Health{}}
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
