package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"
)

// record is one that came.
type record struct {
	line
	id, name string // of the container
	partial  bool
}

// chunk is what came in one request: Fluent Bit sends its chunks in no certain order, and what is in one in that of the input.
type chunk struct {
	at      time.Time
	records []record
	bytes   int
}

// sink is Fluent Bit's output: a server that takes a chunk whole or not at all.
type sink struct {
	addr   string
	server *http.Server
	done   chan struct{}
	files  string // glob of the host's files, a line of JSON for each record; each file is a chunk

	mu      sync.Mutex
	chunks  []chunk
	known   map[[sha256.Size]byte]bool // chunks that came
	twice   int                        // that came again, byte for byte: that is Fluent Bit's own doing
	refuses bool
	hangs   chan struct{} // closed when it does no more; nil: it does not
	failed  error
	changed chan struct{} // closed and replaced at each chunk
}

func newSink(host bool, dir string) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: l.Addr().String(), done: make(chan struct{}), changed: make(chan struct{}), known: map[[sha256.Size]byte]bool{}}
	if host {
		s.files = filepath.Join(dir, "records-*")
	}
	s.server = &http.Server{Handler: http.HandlerFunc(s.take)}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l)
	}()
	return s, nil
}

func (s *sink) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // a chunk that is not whole comes again
	}
	s.mu.Lock()
	hangs := s.hangs
	s.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-r.Context().Done():
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(body)
	if s.known[sum] {
		s.twice++
		return
	}
	s.known[sum] = true
	records, err := decode(body)
	if err != nil && s.failed == nil {
		s.failed = fmt.Errorf("what came is no chunk: %w", err)
	}
	s.chunks = append(s.chunks, chunk{time.Now(), records, len(body)})
	close(s.changed)
	s.changed = make(chan struct{})
}

// refuse has it answer 503.
func (s *sink) refuse(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuses = on
}

// hang has it answer nothing.
func (s *sink) hang(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hangs != nil {
		close(s.hangs)
		s.hangs = nil
	}
	if on {
		s.hangs = make(chan struct{})
	}
}

// all is what came so far, and what to wait for before asking again.
func (s *sink) all() ([]chunk, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files != "" {
		return s.read(), s.changed
	}
	return s.chunks[:len(s.chunks):len(s.chunks)], s.changed
}

// read reads what the host wrote.
func (s *sink) read() (all []chunk) {
	names, _ := filepath.Glob(s.files)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		c := chunk{bytes: len(b)}
		for text := range strings.Lines(string(b)) {
			var e struct {
				Time   string
				Record struct {
					Log, Stream, Partial string
					ContainerID          string `json:"container_id"`
					ContainerName        string `json:"container_name"`
				}
			}
			if json.Unmarshal([]byte(text), &e) != nil {
				continue // cut by a kill, or not whole yet: what it held is missing
			}
			sec, nano, _ := strings.Cut(e.Time, ".")
			seconds, _ := strconv.ParseInt(sec, 10, 64)
			nanos, _ := strconv.ParseInt(nano, 10, 64)
			r := e.Record
			c.records = append(c.records, record{line{std: r.Stream, at: time.Unix(seconds, nanos), text: r.Log}, r.ContainerID, r.ContainerName, r.Partial != ""})
		}
		all = append(all, c)
	}
	return all
}

func (s *sink) close() error {
	s.hang(false)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close()
	}
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// decode reads a chunk: an event is an array of its head and the record; the head is the time, or an array of it and metadata.
func decode(b []byte) (all []record, err error) {
	for len(b) > 0 {
		var n uint32
		if n, b, err = msgp.ReadArrayHeaderBytes(b); err != nil || n != 2 {
			return all, fmt.Errorf("an event is an array of %d: %w", n, err)
		}
		meta := msgp.NextType(b) == msgp.ArrayType
		if meta {
			if n, b, err = msgp.ReadArrayHeaderBytes(b); err != nil || n != 2 {
				return all, fmt.Errorf("the head of an event is an array of %d: %w", n, err)
			}
		}
		var ext msgp.RawExtension
		if b, err = msgp.ReadExtensionBytes(b, &ext); err != nil || len(ext.Data) != 8 {
			return all, fmt.Errorf("the time of an event: %w", err)
		}
		if meta {
			if b, err = msgp.Skip(b); err != nil {
				return all, err
			}
		}
		r := record{line: line{at: time.Unix(int64(binary.BigEndian.Uint32(ext.Data)), int64(binary.BigEndian.Uint32(ext.Data[4:])))}}
		if n, b, err = msgp.ReadMapHeaderBytes(b); err != nil {
			return all, err
		}
		for range n {
			var k, v string
			if k, b, err = msgp.ReadStringBytes(b); err != nil {
				return all, err
			}
			if v, b, err = msgp.ReadStringBytes(b); err != nil {
				return all, fmt.Errorf("key %s: %w", k, err)
			}
			switch k {
			case "log":
				r.text = v
			case "stream":
				r.std = v
			case "container_id":
				r.id = v
			case "container_name":
				r.name = v
			case "partial":
				r.partial = true
			}
		}
		all = append(all, r)
	}
	return all, nil
}
