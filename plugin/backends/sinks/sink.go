// Package sinks has servers for what the outputs in conf/ speak. Each protocol is a file. A server keeps every record
// that it takes, or refuses as it is told.
//
// They speak from the protocols' documentation, and understand of each what conf/ uses: JSON or msgpack, plain or gzip.
package sinks

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Record is a record that was taken.
type Record struct {
	Time   time.Time
	Fields map[string]string // with the text at the key log

	id string // where the protocol has one
}

// Mode is what a server does with what it gets.
type Mode int

// The modes.
const (
	Takes   Mode = iota // takes it, and says so
	Refuses             // takes nothing, and says so: 503, or the end of the connection
	Loses               // takes it, and the answer is that of Refuses
)

// Sink is a server on the loopback interface.
type Sink struct {
	Addr string // host:port

	mu      sync.Mutex
	mode    Mode // guarded by mu, as what follows
	decide  func([]Record) int
	denied  int      // requests that were not answered as taken
	records []Record // in the order in which they came
	wrong   error
	ids     map[string]bool // of the records
}

// Set changes the mode.
func (s *Sink) Set(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
}

// Decide has f, in the mode [Takes], refuse requests of records. f returns the status of the answer; 0 takes the
// records. It is called for one request at a time, and must not call this sink.
func (s *Sink) Decide(f func(records []Record) (status int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decide = f
}

// Denied is how many requests were not answered as taken.
func (s *Sink) Denied() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied
}

// Records returns what was taken. An error says what was not understood.
func (s *Sink) Records() ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records), s.wrong
}

// take keeps the records of a request, as the mode says, and returns the status of the answer. What was not understood is refused
// too.
func (s *Sink) take(records []Record, err error) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = errors.Join(s.wrong, err)
	status = http.StatusOK
	if err != nil || s.mode != Takes {
		status = http.StatusServiceUnavailable
	} else if s.decide != nil {
		status = cmp.Or(s.decide(records), status)
	}
	if status != http.StatusOK {
		s.denied++
	}
	if err == nil && (status == http.StatusOK || s.mode == Loses) {
		s.records = append(s.records, records...)
		for _, r := range records {
			s.ids[r.id] = r.id != ""
		}
	}
	return status
}

// known says whether a record with that id was taken before.
func (s *Sink) known(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// serve runs a server of HTTP until the test ends. read makes records of a request, whose body is whole and not compressed any
// more, and the answer, text or what becomes JSON.
func serve(t testing.TB, read func(s *Sink, r *http.Request, body []byte) (records []Record, answer any, err error)) *Sink {
	s := &Sink{ids: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			body, err = unzip(body)
		}
		var records []Record
		var answer any
		if err == nil {
			records, answer, err = read(s, r, body)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", r.Method, r.URL, err)
		}
		if status := s.take(records, err); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		if text, ok := answer.(string); ok {
			_, _ = io.WriteString(w, text)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	s.Addr = server.Listener.Addr().String()
	return s
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// parse makes a record of JSON, whose time is at key in the layout of [time.RFC3339Nano].
func parse(text []byte, key string) (r Record, err error) {
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return r, fmt.Errorf("%w in %.200q", err, text)
	}
	at, _ := fields[key].(string)
	delete(fields, key)
	if r.Time, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return r, err
	}
	r.Fields = texts(fields)
	return r, nil
}

// jsonLines makes a record of each line.
func jsonLines(body []byte, key string) (records []Record, err error) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		r, err := parse(line, key)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// texts makes texts of values that are.
func texts[V any](fields map[string]V) map[string]string {
	m := make(map[string]string, len(fields))
	for k, v := range fields {
		m[k] = strings.TrimSpace(fmt.Sprint(v))
		if text, ok := any(v).(string); ok {
			m[k] = text
		}
	}
	return m
}
