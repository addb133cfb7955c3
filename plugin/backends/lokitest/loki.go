// Package lokitest is a small Loki for tests. It takes pushes, refuses what Loki refuses, and gives back what it
// took.
//
// It speaks from Loki's documentation (HTTP API; request validation and rate limits; limits_config), not from its code. A
// push is JSON, plain or gzip, as Fluent Bit sends it; protobuf is not understood. A query is as small as the tests need.
package lokitest

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Entry is a log entry that was taken.
type Entry struct {
	Labels   map[string]string // of its stream
	Metadata map[string]string // structured metadata
	Time     time.Time
	Text     string
}

// Push is a push and what became of it.
type Push struct {
	Status  int
	Message string // the answer's text
	Taken   int    // entries
}

// Loki is a server on the loopback interface.
type Loki struct {
	URL    string // http://127.0.0.1:port
	server *httptest.Server

	mu      sync.Mutex
	limits  Limits            // guarded by mu, as what follows
	decide  func([]Entry) int // nil: only the limits decide
	entries []Entry           // in the order in which they came
	pushes  []Push            // likewise
	streams map[string]*stream
	all     bucket
	changed chan struct{} // closed, and replaced, after each push
}

// Start runs a Loki with these limits until the test ends.
func Start(t testing.TB, limits Limits) *Loki {
	l := &Loki{limits: limits, streams: map[string]*stream{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("POST /loki/api/v1/push", l.servePush)
	mux.HandleFunc("GET /loki/api/v1/query_range", l.serveRange)
	mux.HandleFunc("GET /loki/api/v1/query", l.serveCount)
	l.server = httptest.NewServer(mux)
	l.URL = l.server.URL
	t.Cleanup(l.server.Close)
	return l
}

// Decide has f answer each push from here on. Nothing is taken of one whose answer is not 0, which leaves it to the
// limits. It is called for one push at a time, and must not call this Loki.
func (l *Loki) Decide(f func(push []Entry) (status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decide = f
}

// InTurn gives these answers to pushes, one each. The later ones are left to the limits.
func InTurn(statuses ...int) func([]Entry) int {
	return func([]Entry) (status int) {
		if len(statuses) > 0 {
			status, statuses = statuses[0], statuses[1:]
		}
		return status
	}
}

// Always gives this answer to every push.
func Always(status int) func([]Entry) int { return func([]Entry) int { return status } }

// Limit sets other limits; streams and what was taken stay.
func (l *Loki) Limit(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
}

// Entries returns what was taken, in the order in which it came. Each is there as often
// as it was taken.
func (l *Loki) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// Pushes returns all pushes so far.
func (l *Loki) Pushes() []Push {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pushes)
}

// Await waits until ok is true of what was taken. It is told of the pushes, too. The error is the context's when that
// is not in time.
func (l *Loki) Await(ctx context.Context, ok func(entries []Entry, pushes []Push) bool) error {
	for {
		l.mu.Lock()
		entries, pushes, changed := l.entries[:len(l.entries):len(l.entries)], l.pushes[:len(l.pushes):len(l.pushes)], l.changed
		l.mu.Unlock()
		if ok(entries, pushes) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pushed is the body of a push.
type pushed struct {
	Streams []struct {
		Stream map[string]string
		Values [][]json.RawMessage // time, text, structured metadata
	}
}

func (l *Loki) servePush(w http.ResponseWriter, r *http.Request) {
	streams, size, err := readPush(r)
	l.mu.Lock()
	p := Push{Status: http.StatusBadRequest}
	status := 0
	if l.decide != nil {
		status = l.decide(slices.Concat(streams...))
	}
	switch {
	case status != 0:
		p.Status, p.Message = status, fmt.Sprintf("the answer to this push was to be %d", status)
	case err != nil:
		p.Message = err.Error()
	default:
		p = l.take(streams, size)
	}
	l.pushes = append(l.pushes, p)
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(p.Status)
	if p.Status != http.StatusNoContent {
		fmt.Fprintln(w, p.Message)
	}
}

// readPush returns the entries of a push by stream, and the bytes of their text and metadata.
func readPush(r *http.Request) (streams [][]Entry, size int, err error) {
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		return nil, 0, fmt.Errorf("Content-Type %q is not understood", kind)
	}
	var body io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "":
	case "gzip":
		if body, err = gzip.NewReader(r.Body); err != nil {
			return nil, 0, fmt.Errorf("gzip: %w", err)
		}
	default:
		return nil, 0, fmt.Errorf("Content-Encoding %q is not supported", encoding)
	}
	var p pushed
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		return nil, 0, fmt.Errorf("push: %w", err)
	}
	for _, s := range p.Streams {
		var entries []Entry
		for _, v := range s.Values {
			e, err := readValue(v)
			if err != nil {
				return nil, 0, err
			}
			e.Labels = s.Stream
			entries = append(entries, e)
			size += e.size()
		}
		streams = append(streams, entries)
	}
	return streams, size, nil
}

func readValue(v []json.RawMessage) (e Entry, err error) {
	if len(v) < 2 || len(v) > 3 {
		return e, fmt.Errorf("push: a value of %d elements", len(v))
	}
	var nanos string
	for i, into := range []any{&nanos, &e.Text, &e.Metadata}[:len(v)] {
		if err := json.Unmarshal(v[i], into); err != nil {
			return e, fmt.Errorf("push: element %d of a value: %w", i, err)
		}
	}
	ns, err := strconv.ParseInt(nanos, 10, 64)
	if err != nil {
		return e, fmt.Errorf("push: time: %w", err)
	}
	e.Time = time.Unix(0, ns)
	return e, nil
}

func (e Entry) size() int {
	n := len(e.Text)
	for k, v := range e.Metadata {
		n += len(k) + len(v)
	}
	return n
}

// format writes labels as Loki does.
func format(labels map[string]string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range slices.Sorted(maps.Keys(labels)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%q", k, labels[k])
	}
	b.WriteByte('}')
	return b.String()
}
