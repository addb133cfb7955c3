package capture

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/pkg/stdcopy"
)

const stamp = "2026-11-23T14:05:06.789012345Z"

func frameOf(std stdcopy.StdType, payload string) []byte {
	var b bytes.Buffer
	_, _ = stdcopy.NewStdWriter(&b, std).Write([]byte(payload))
	return b.Bytes()
}

// Whatever bytes come, cutFrame and moby's own StdCopy see the same text.
func FuzzCutFrame(f *testing.F) {
	f.Add(frameOf(stdcopy.Stdout, stamp+" hello\n"))
	f.Add(append(frameOf(stdcopy.Stdout, stamp+" a\n"), frameOf(stdcopy.Stderr, stamp+" b")...))
	f.Add(frameOf(stdcopy.Systemerr, "Error grabbing logs: x"))
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 'x'})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var have, want [3]bytes.Buffer
		var failed error
		rest := b
		for {
			e, n, err := cutFrame(rest)
			if err != nil {
				failed = err
				break
			}
			if n == 0 {
				break
			}
			if n > len(rest) {
				t.Fatalf("%d bytes taken of %d", n, len(rest))
			}
			have[e.std].Write(e.text)
			if e.newline {
				have[e.std].WriteByte('\n')
			}
			rest = rest[n:]
		}
		if errors.Is(failed, errBadTime) || errors.Is(failed, errBadFrame) {
			return // StdCopy checks neither timestamps nor lengths nor the zero bytes
		}
		// StdCopy keeps the timestamps, one per frame.
		strip := func(w *bytes.Buffer) io.Writer {
			return writerFunc(func(p []byte) (int, error) { w.Write(p[timeSize+1:]); return len(p), nil })
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
	for _, s := range []string{stamp, "1970-01-01T00:00:00.000000000Z", "2000-02-29T23:59:59.999999999Z", "2100-02-29T00:00:00.000000000Z",
		"2105-12-31T23:59:59.999999999Z", "2026-13-01T00:00:00.000000000Z", "2026-11-31T24:60:60.000000000Z", "2026-11-23 14:05:06.789012345Z",
		"2000-10-01T00:00:00.+00000000Z"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != timeSize {
			return
		}
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
	})
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
	_, n, err := cutFrame(frameOf(stdcopy.Systemerr, "Error grabbing logs: gone\n"))
	var se systemError
	if !errors.As(err, &se) || n == 0 || !strings.Contains(err.Error(), "Error grabbing logs: gone") {
		t.Errorf("%v", err)
	}
}

// A log cut at any byte is cut into the same records.
func TestTTYRecords(t *testing.T) {
	other := "2026-11-23T14:05:09.000000001Z"
	chunk := strings.Repeat("x", chunkSize)
	log := stamp + " one\r\n" + stamp + " \r\n" +
		stamp + " " + chunk + stamp + " " + chunk + stamp + " end\r\n" +
		stamp + " $ " + other + " after the restart\r\n" + other + " says " + stamp + " itself\r\n" + other + " unterminated"
	want := []string{"one\r", "\r", chunk, chunk, "end\r", "$ ", "after the restart\r", "says " + stamp + " itself\r", "unterminated"}
	started, _ := time.Parse(time.RFC3339Nano, other)
	cutter := ttyCutter{startedAt: started.UnixNano()}
	for _, step := range []int{1, 7, 31, 4096, len(log)} {
		var have []string
		var w []byte
		for at := 0; at < len(log); {
			next := min(len(log), at+step)
			w = append(w, log[at:next]...)
			at = next
			for {
				e, n, err := cutter.cut(w, at == len(log))
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				have = append(have, string(e.text))
				w = w[n:]
			}
		}
		checkSequence(t, "records", want, have)
	}
}

func FuzzTTYCutter(f *testing.F) {
	f.Add([]byte(stamp+" a\r\n"+stamp+" b"), true)
	f.Add([]byte("x"), false)
	f.Fuzz(func(t *testing.T, b []byte, eof bool) {
		for len(b) > 0 {
			_, n, err := ttyCutter{startedAt: 1e18}.cut(b, eof)
			if n > len(b) {
				t.Fatalf("%d of %d bytes", n, len(b))
			}
			if err != nil || n == 0 {
				return
			}
			b = b[n:]
		}
	})
}
