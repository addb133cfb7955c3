package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/pkg/stdcopy"

	"fluent-bit-docker-logs/capture/testkit"
)

func frameOf(std stdcopy.StdType, payload string) []byte {
	var b bytes.Buffer
	_, _ = stdcopy.NewStdWriter(&b, std).Write([]byte(payload))
	return b.Bytes()
}

// Whatever bytes come, CutFrame and moby's own StdCopy see the same text.
func FuzzCutFrame(f *testing.F) {
	f.Add(frameOf(stdcopy.Stdout, testkit.Stamp+" hello\n"))
	f.Add(append(frameOf(stdcopy.Stdout, testkit.Stamp+" a\n"), frameOf(stdcopy.Stderr, testkit.Stamp+" b")...))
	f.Add(frameOf(stdcopy.Systemerr, "Error grabbing logs: x"))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x'})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var have, want [3]bytes.Buffer
		var failed error
		rest := b
		for {
			e, n, err := CutFrame(rest)
			if err != nil {
				failed = err
				break
			}
			if n == 0 {
				break
			}
			if e.Std == 0 && (n > frameHeaderSize || rest[0] > systemerr) {
				return // left out; StdCopy knows neither other types nor a limit
			}
			if n > len(rest) {
				t.Fatalf("%d bytes taken of %d", n, len(rest))
			}
			have[e.Std].Write(e.Text)
			if e.Newline {
				have[e.Std].WriteByte('\n')
			}
			rest = rest[n:]
		}
		if errors.Is(failed, ErrBadFrame) {
			return // StdCopy checks neither lengths nor the zero bytes
		}
		// StdCopy keeps the timestamps, one per frame.
		strip := func(w *bytes.Buffer) io.Writer {
			return writerFunc(func(p []byte) (int, error) {
				if stamp, text, ok := bytes.Cut(p, []byte(" ")); ok && len(stamp) <= maxTimeSize {
					if _, err := time.Parse(time.RFC3339Nano, strings.ToUpper(string(stamp))); err == nil {
						w.Write(text)
						return len(p), nil
					}
				}
				w.Write(p)
				return len(p), nil
			})
		}
		_, err := stdcopy.StdCopy(strip(&want[1]), strip(&want[2]), bytes.NewReader(b[:len(b)-len(rest)]))
		if failed == nil && err != nil {
			t.Fatalf("StdCopy fails: %v", err)
		}
		for std := 1; std <= 2; std++ {
			if !bytes.Equal(have[std].Bytes(), want[std].Bytes()) {
				t.Fatalf("std %d: %q, StdCopy %q", std, have[std].Bytes(), want[std].Bytes())
			}
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{testkit.Stamp, "1970-01-01T00:00:00.000000000Z", "2000-02-29T23:59:59.999999999Z", "2100-02-29T00:00:00.000000000Z",
		"2105-12-31T23:59:59.999999999Z", "2026-13-01T00:00:00.000000000Z", "2026-11-31T24:60:60.000000000Z", "2026-11-23 14:05:06.789012345Z",
		"2000-10-01T00:00:00.+00000000Z"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != TimeSize {
			return
		}
		sameTime(t, b)
	})
}

// TestParseTimeOfAnyByte puts each byte in each place, and all that is next to a border in two places beside each other: a
// timestamp is read eight bytes at a time.
func TestParseTimeOfAnyByte(t *testing.T) {
	borders := []byte{0, 1, '/', '0', '9', ':', '-', 'S', 'T', 'U', 'Y', 'Z', '[', 0x7f, 0x80, 0xff}
	for i := range TimeSize {
		for c := range 256 {
			b := []byte(testkit.Stamp)
			b[i] = byte(c)
			sameTime(t, b)
		}
		for _, c := range borders {
			for _, d := range borders {
				b := []byte(testkit.Stamp)
				if b[i] = c; i > 0 {
					b[i-1] = d
				}
				sameTime(t, b)
			}
		}
	}
}

// sameTime holds parseTime to time.Parse.
func sameTime(t *testing.T, b []byte) {
	t.Helper()
	have, ok := parseTime(b)
	const layout = "2006-01-02T15:04:05.000000000Z"
	want, err := time.Parse(layout, string(b))
	// time.Parse also takes a comma for the point and a sign for a digit.
	valid := err == nil && want.Format(layout) == string(b) && want.Year() >= 1970 && want.Year() <= 2105
	if ok != valid {
		t.Fatalf("%q: valid is %v, time.Parse says %v (%v)", b, ok, valid, err)
	}
	if ok && have != want.UnixNano() {
		t.Fatalf("%q is %d, not %d", b, have, want.UnixNano())
	}
}

func TestEveryDayIsParsed(t *testing.T) {
	for day := time.Date(1970, 1, 1, 1, 2, 3, 4, time.UTC); day.Year() <= 2105; day = day.AddDate(0, 0, 1) {
		got, ok := parseTime([]byte(day.Format("2006-01-02T15:04:05.000000000Z")))
		if !ok || got != day.UnixNano() {
			t.Fatalf("%v is %d, %v", day, got, ok)
		}
	}
}

func TestSystemErrorIsNoLine(t *testing.T) {
	_, n, err := CutFrame(frameOf(stdcopy.Systemerr, "Error grabbing logs: gone\n"))
	var se SystemError
	if !errors.As(err, &se) || n == 0 || !strings.Contains(err.Error(), "Error grabbing logs: gone") {
		t.Errorf("%v", err)
	}
}

// Whatever form of RFC 3339 a record is stamped in, it is read; without a time
// it is a record all the same, and no byte of it is lost.
func TestTimestampsOfEveryForm(t *testing.T) {
	at := func(s string) int64 {
		when, err := time.Parse(time.RFC3339Nano, s)
		testkit.Must(t, err)
		return when.UnixNano()
	}
	for _, c := range []struct {
		body, text string
		ts         int64
	}{
		{testkit.Stamp + " a b", "a b", at(testkit.Stamp)},
		{"2026-11-25T17:58:03Z a b", "a b", at("2026-11-25T17:58:03Z")},
		{"2026-11-25T17:58:03.5Z ", "", at("2026-11-25T17:58:03.5Z")},
		{"2026-11-25T17:58:03.508123456+01:00 x", "x", at("2026-11-25T16:58:03.508123456Z")},
		{"2026-11-25T17:58:03-07:30 x", "x", at("2026-11-26T01:28:03Z")},
		{"2026-11-25t17:58:03.1z x", "x", at("2026-11-25T17:58:03.1Z")},
		{"1970-01-01T00:00:00.000000000Z x", "x", 0},
		{"1969-12-31T23:59:59.500000000Z x", "x", Undated},
		{"1970-01-01T00:00:00.000000000+08:00 x", "x", Undated},
		{"0001-01-01T00:00:00.000000000Z x", "x", Undated},
		{"2106-01-01T00:00:00.000000000Z x", "x", Undated},
		{"9999-12-31T23:59:59.000000000Z x", "x", Undated},
		{"2026-13-25T17:58:03.000000000Z x", "2026-13-25T17:58:03.000000000Z x", Undated},
		{"no time at all", "no time at all", Undated},
		{"x", "x", Undated},
		{" x", " x", Undated},
		{strings.Repeat("y", 100) + " x", strings.Repeat("y", 100) + " x", Undated},
	} {
		e, n, err := CutFrame(frameOf(stdcopy.Stderr, c.body+"\n"))
		if err != nil || n != frameHeaderSize+len(c.body)+1 || e.TS != c.ts || string(e.Text) != c.text || !e.Newline || e.Std != Stderr {
			t.Errorf("%q: %+v %q, %d bytes, %v", c.body, e, e.Text, n, err)
		}
	}
}

// A frame that holds no record is left out, whatever is wrong with it, and what
// follows it is read.
func TestFramesWithoutARecordAreLeftOut(t *testing.T) {
	good := frameOf(stdcopy.Stdout, testkit.Stamp+" good\n")
	header := func(std byte, size uint32) []byte {
		return []byte{std, 0, 0, 0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
	}
	for name, bad := range map[string][]byte{
		"empty":        header(1, 0),
		"unknown type": append(header(7, 5), "hello"...),
		"oversized":    append(header(1, MaxFrame+1), make([]byte, MaxFrame+1)...),
	} {
		for _, step := range []int{1 << 30, 5000, 7} {
			w := NewWindow(nil, false)
			n := 0
			r := &steps{bytes.NewReader(slices.Concat(good, bad, good)), step}
			for eof := false; !eof; {
				_, err := w.Fill(r)
				eof = errors.Is(err, io.EOF)
				testkit.Must(t, w.Each(eof, func(e *Entry) error {
					if string(e.Text) != "good" {
						t.Errorf("%s: %q", name, e.Text)
					}
					n++
					return nil
				}))
			}
			if n != 2 || w.Damaged != 1 || len(w.buf) > MaxWindow {
				t.Errorf("%s: %d records, %d damaged, window of %d", name, n, w.Damaged, len(w.buf))
			}
			if len(bad) > 1<<16 && step == 5000 {
				break // the smallest steps take too long
			}
		}
	}
}

// steps reads at most so many bytes at a time.
type steps struct {
	r    io.Reader
	most int
}

func (s *steps) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.most)]) }

// Bytes that are no frame end a read. The next one that makes no progress goes
// on behind them; it fails where no frame follows.
func TestGarbageIsPassedByARoughRead(t *testing.T) {
	good := frameOf(stdcopy.Stdout, testkit.Stamp+" good\n")
	for _, c := range []struct {
		name    string
		log     []byte
		records int
		fails   bool
		rough   bool
	}{
		{"a first read", slices.Concat(good, []byte("garbage"), good), 1, true, false},
		{"text", slices.Concat(good, []byte("<html>502 Bad Gateway</html>\n"), good), 2, false, true},
		{"half a frame", slices.Concat(good, good[5:], good), 2, false, true},
		{"a header that promises 4 GB", slices.Concat(good, []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, good), 2, false, true},
		{"an end inside a frame", slices.Concat(good, good[:20]), 1, true, false},
		{"the same again", slices.Concat(good, good[:20]), 1, false, true},
		{"no log", bytes.Repeat([]byte("<html>502 Bad Gateway</html>\n"), 100_000), 0, true, true},
	} {
		for _, step := range []int{1 << 30, 7} {
			w, n := NewWindow(nil, c.rough), 0
			r := &steps{bytes.NewReader(c.log), step}
			var failed error
			for eof := false; !eof && failed == nil; {
				_, err := w.Fill(r)
				eof = errors.Is(err, io.EOF)
				failed = w.Each(eof, func(e *Entry) error {
					if string(e.Text) == "good" {
						n++
					}
					return nil
				})
			}
			if n != c.records || (failed != nil) != c.fails || (failed != nil && !errors.Is(failed, ErrBadFrame)) || (c.rough && w.Damaged != 1) {
				t.Errorf("%s by %d: %d records, %d damaged, %v", c.name, step, n, w.Damaged, failed)
			}
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	text := fmt.Sprintf("%-129s\n", `{"level":"info","msg":"GET /api/v1/items/4711 200","took":"3.2ms"}`)
	frame := append([]byte{Stdout, 0, 0, 0, 0, 0, 0, TimeSize + 1 + 130}, testkit.Stamp+" "+text...)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, n, err := CutFrame(frame); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}
