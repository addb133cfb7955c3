package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// record is one log event as it left the agent.
type record struct {
	Tag    string
	Time   time.Time
	Fields map[string]any
}

func (r record) text(key string) string {
	s, _ := r.Fields[key].(string)
	return s
}

// sink is the agent's output: a named pipe. Fluent Bit's out_file and the host both write their records there as lines, in
// order and with nanoseconds; a sink that reads slowly is a slow output.
type sink struct {
	path string
	pipe *os.File // opened for reading and writing, so that it has no end while agents come and go
	rate atomic.Int64

	mu      sync.Mutex
	records []record
	byID    map[string]int // records per container id
	failed  error
	changed chan struct{} // closed and replaced at each change
	done    chan struct{} // closed when the reader is back
}

// end is the line that stop writes behind an agent's last one.
const end = "end of the test"

// newSink makes the pipe and starts its reader. rate is in bytes per second, 0 is unlimited.
func newSink(t testing.TB, rate int64) *sink {
	t.Helper()
	s := &sink{
		path:    filepath.Join(t.TempDir(), "records"),
		byID:    map[string]int{},
		changed: make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.rate.Store(rate)
	if err := syscall.Mkfifo(s.path, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.pipe, err = os.OpenFile(s.path, os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	go s.read()
	t.Cleanup(func() {
		_ = s.pipe.Close()
		<-s.done
	})
	return s
}

func (s *sink) read() {
	defer close(s.done)
	r := bufio.NewReaderSize(s.pipe, 64<<10)
	begin, total := time.Now(), int64(0)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, os.ErrClosed) {
			return
		}
		line = strings.TrimSuffix(line, "\n")
		if err == nil && line == end {
			return
		}
		if err == nil && line == "" {
			continue
		}
		var rec record
		if err == nil {
			rec, err = parseRecord(line)
		}
		s.mu.Lock()
		if err != nil {
			s.failed = errors.Join(s.failed, err)
		} else {
			s.records = append(s.records, rec)
			s.byID[rec.text("container_id")]++
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		total += int64(len(line))
		if rate := s.rate.Load(); rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(total) * time.Second / time.Duration(rate))))
		}
	}
}

// finish waits until everything that was written before it is read. No agent may write any more.
func (s *sink) finish(ctx context.Context) error {
	s.rate.Store(0)
	if _, err := s.pipe.WriteString(end + "\n"); err != nil {
		return err
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return fmt.Errorf("the sink does not come to its end: %w", ctx.Err())
	}
	return s.failed
}

// whileItComes is done when for the time of limit no record has come: on a busy machine all takes long, and that says nothing.
func (s *sink) whileItComes() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for seen, since := -1, time.Now(); time.Since(since) < limit; {
			s.mu.Lock()
			n := len(s.records)
			s.mu.Unlock()
			if n != seen {
				seen, since = n, time.Now()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	return ctx, cancel
}

// await waits until ok, called under the lock at each change, returns true.
func (s *sink) await(ctx context.Context, ok func() bool) bool {
	for {
		s.mu.Lock()
		done, changed := ok(), s.changed
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// cutFluentBit cuts a line in the default format of out_file: `TAG: [SECONDS.NANOSECONDS, {...}]`. It does so by hand because a
// pattern takes, with the race detector, longer for a long line than the agent does.
func cutFluentBit(line string) (tag, sec, nano, fields string, ok bool) {
	if strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}]") {
		return "", "", "", "", false
	}
	for at := 1; at < len(line); at++ {
		next := strings.Index(line[at:], ": [")
		if next < 0 {
			break
		}
		at += next
		when, fields, _ := strings.Cut(line[at+len(": ["):len(line)-len("]")], ", {")
		if sec, nano, ok := strings.Cut(when, "."); ok && len(nano) == 9 && digits(sec) && digits(nano) {
			return line[:at], sec, nano, "{" + fields, true
		}
	}
	return "", "", "", "", false
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseRecord reads a line of out_file or of the host.
func parseRecord(line string) (record, error) {
	var r record
	var sec, nano, fields string
	var ok bool
	if r.Tag, sec, nano, fields, ok = cutFluentBit(line); !ok {
		var h struct {
			Tag, Time string
			Record    json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			return r, fmt.Errorf("output line %s: %w", brief(line), err)
		}
		r.Tag, fields = h.Tag, string(h.Record)
		sec, nano, _ = strings.Cut(h.Time, ".")
	}
	if err := json.Unmarshal([]byte(fields), &r.Fields); err != nil {
		return r, fmt.Errorf("output line %s: %w", brief(line), err)
	}
	s, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return r, fmt.Errorf("time of output line %s: %w", brief(line), err)
	}
	n, err := strconv.ParseInt(nano, 10, 64)
	if err != nil || len(nano) != 9 {
		return r, fmt.Errorf("nanoseconds %q of output line %s", nano, brief(line))
	}
	r.Time = time.Unix(s, n)
	return r, nil
}

// TestParseRecord: both agents' lines come out as the same record.
func TestParseRecord(t *testing.T) {
	for _, line := range []string{
		`a: b: [1700000000.000000042, {"log":"x: [1.000000001, {}]\u0000\u00e9 <\"","stream":"stdout"}]`,
		`{"tag":"a: b","time":"1700000000.000000042","record":{"log":"x: [1.000000001, {}]\u0000é <\"","stream":"stdout"}}`,
	} {
		r, err := parseRecord(line)
		if err != nil {
			t.Fatal(err)
		}
		if r.Tag != "a: b" || !r.Time.Equal(time.Unix(1700000000, 42)) || r.text("log") != "x: [1.000000001, {}]\x00é <\"" || r.text("stream") != "stdout" {
			t.Errorf("%s\nbecame %+v", line, r)
		}
	}
	for _, line := range []string{"", "a: [1.5, {}]", "{}", `{"tag":"a","time":"1.5","record":{}}`, "half a li"} {
		if r, err := parseRecord(line); err == nil {
			t.Errorf("%q became %+v", line, r)
		}
	}
}
