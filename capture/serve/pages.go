package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

// busyTime is how long a request waits while maxRequests others are worked on.
const busyTime = 5 * time.Second

// handler serves what can be asked for; it only reads.
func (e *endpoint) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.inTurn(metricsOf(e.gather)))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, s := range e.instances() {
			if away := s.Instance.Away(); away > 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = fmt.Fprintf(w, "%s: Fluent Bit has not come by for %s while records wait for it\n", s.Name, away.Round(time.Second))
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
		release, err := e.busy.Acquire(ctx)
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
		all[0].Panics.Inc()
		all[0].Log.Error("a panic was caught while metrics or health were asked for", "path", what, "panic", err)
	}
	return true
}

// status is what the page shows.
func (e *endpoint) status() page.Status {
	s := page.Status{At: time.Now(), Version: e.version}
	for _, in := range e.instances() {
		in.describe(&s, in.Instance.View())
	}
	return s
}

// describe adds what the page shows of an input.
func (in *shown) describe(s *page.Status, view *status.View) {
	v := page.Instance{
		Name: in.Name, Goroutines: runtime.NumGoroutine(), Since: view.Began.UTC(), Said: view.LastError, SaidAt: timeOf(view.LastErrorAt),
		Rates: in.history.Rates(page.AllLines),
		Lines: view.Totals.Lines, Bytes: view.Totals.Bytes, Gaps: view.Totals.Gaps, Rotations: view.Totals.Rotations, Stalls: view.Totals.Stalls,
		Open: view.FDs.Process, OpenWarn: view.FDs.Warn, OpenLimit: view.FDs.Limit,
		Waiting: view.Outbox.Bytes, WaitingLimit: view.Outbox.Limit, OnTheWay: view.Outbox.Outstanding,
		Engine: page.Engine{Up: view.Engine.Reachable, Version: view.Engine.Version, API: view.Engine.API, Since: view.Engine.Since, NextTry: timeOf(view.Engine.NextTry), Error: view.Engine.Error},
	}
	streams := make(map[string]bool)
	for _, st := range view.ByName() {
		streams[st.ID] = true
		s.Containers = append(s.Containers, page.Container{
			Instance: in.Name, ID: st.ID, Name: st.Name, State: st.State, Failing: st.Fails, Since: timeOf(st.Since), NextTry: timeOf(st.NextTry),
			Reader: st.Reader, Position: timeOf(st.Position), Lag: st.Lag, Age: st.Age, Rotations: st.Rotations, Lines: st.Lines,
			Error: st.LastError, ErrorAt: timeOf(st.LastErrorAt), Rates: in.history.Rates(st.ID),
		})
	}
	said := true // of each that could not be inspected
	for _, u := range view.Unanswered {
		if said = said && !streams[u.ID]; !streams[u.ID] {
			s.Containers = append(s.Containers, page.Container{
				Instance: in.Name, ID: u.ID, Name: u.Name, State: page.NotInspected, Since: u.Since, Reader: status.NoReader, Error: u.Why.Error(), ErrorAt: u.Since,
			})
		}
	}
	problems := view.Problems()
	v.Ready = len(problems) == 0
	for _, p := range problems {
		switch {
		case p.Of == status.OfEngine, p.Of == status.OfReading, p.Of == status.OfInspects && said: // of which the page says more
		default:
			v.Problems = append(v.Problems, p.Text)
		}
	}
	s.Instances = append(s.Instances, v)
}

// timeOf is the time at t, zero for nil.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// readiness is the answer to /readyz.
type readiness struct {
	Ready     bool            `json:"ready"` // each instance is
	Version   string          `json:"version"`
	Instances []status.Health `json:"instances"`
}

func (e *endpoint) readiness() readiness {
	r := readiness{Ready: true, Version: e.version, Instances: []status.Health{}}
	for _, s := range e.instances() {
		h := s.Instance.View().Health()
		h.Instance = s.Name
		r.Ready = r.Ready && h.Ready
		r.Instances = append(r.Instances, h)
	}
	return r
}

// streams is the answer to /streams.
func (e *endpoint) streams() []status.Stream {
	all := []status.Stream{}
	for _, s := range e.instances() {
		for _, st := range s.Instance.View().ByName() {
			st.Instance = s.Name
			all = append(all, *st)
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
