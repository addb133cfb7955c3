package capture

import (
	"bytes"
	"context"
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

	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/supervise"
)

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
	mux.Handle("GET /{$}", e.inTurn(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := page.Render(&b, e.status(), page.QueryOf(r.URL.Query())); err != nil {
			http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", page.Policy)
		_, _ = w.Write(b.Bytes()) // the client went away
	}))
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
		if e.caught(r.URL.Path, func() { h.ServeHTTP(w, r) }) {
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	})
}

// caught calls f, and says and counts a panic of it.
func (e *endpoint) caught(what string, f func()) bool {
	err := supervise.Catch(func() error { f(); return nil })
	if err == nil {
		return false
	}
	if all := e.instances(); len(all) > 0 {
		all[0].col.metrics.panics.Inc()
		all[0].col.log.Error("a panic was caught while metrics or health were asked for", "path", what, "panic", err)
	}
	return true
}

// status is what the page shows.
func (e *endpoint) status() page.Status {
	s := page.Status{At: time.Now(), Version: Version()}
	for _, in := range e.instances() {
		h := in.col.Health()
		v := page.Instance{
			Name: in.name, Ready: h.Ready, Goroutines: h.Goroutines, Since: h.Since, Said: h.LastError, SaidAt: timeOf(h.LastErrorAt),
			Rates: in.history.Rates(page.AllLines),
			Lines: h.Totals.Lines, Bytes: h.Totals.Bytes, Gaps: h.Totals.Gaps, Rotations: h.Totals.Rotations, Stalls: h.Totals.Stalls,
			Open: h.FDs.Process, OpenWarn: h.FDs.Warn, OpenLimit: h.FDs.Limit,
			Waiting: h.Outbox.Bytes, WaitingLimit: h.Outbox.Limit, OnTheWay: h.Outbox.Outstanding,
			Engine: page.Engine{Up: h.Engine.Reachable, Version: h.Engine.Version, API: h.Engine.API, Since: h.Engine.Since, NextTry: timeOf(h.Engine.NextTry), Error: h.Engine.Error},
		}
		streams := make(map[string]bool)
		for _, st := range in.col.Streams() {
			streams[st.ID] = true
			s.Containers = append(s.Containers, page.Container{
				Instance: in.name, ID: st.ID, Name: st.Name, State: st.State, Failing: st.fails, Since: timeOf(st.Since), NextTry: timeOf(st.NextTry),
				Reader: st.Reader, Position: timeOf(st.Position), Lag: st.Lag, Age: st.Age, Rotations: st.Rotations, Lines: st.Lines,
				Error: st.LastError, ErrorAt: timeOf(st.LastErrorAt), Rates: in.history.Rates(st.ID),
			})
		}
		said := true // of each that could not be inspected
		for _, u := range h.unanswered {
			if said = said && !streams[u.id]; !streams[u.id] {
				s.Containers = append(s.Containers, page.Container{
					Instance: in.name, ID: u.id, Name: u.name, State: page.NotInspected, Since: u.since, Reader: readerNone, Error: u.why.Error(), ErrorAt: u.since,
				})
			}
		}
		for _, p := range h.Problems {
			if p != noAnswer && p != h.failing && (!said || p != h.notInspected) { // of which the page says more
				v.Problems = append(v.Problems, p)
			}
		}
		s.Instances = append(s.Instances, v)
	}
	return s
}

// timeOf is the time at t, zero for nil.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
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
