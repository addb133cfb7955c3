package decode

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func cutCRI(t *testing.T, b string) (entries []Entry, c *JSONCutter) {
	t.Helper()
	c = &JSONCutter{CRI: true}
	n, err := c.Each([]byte(b), 7, 0, func(e *Entry) error {
		entry := *e
		entry.Text = bytes.Clone(e.Text)
		entries = append(entries, entry)
		return nil
	})
	if end := strings.LastIndexByte(b, '\n') + 1; err != nil || n != end {
		t.Fatalf("%d bytes of %d, error %v", n, end, err)
	}
	return entries, c
}

// Records of a k8s-file: pieces go on whatever their size, and a line may be empty,
// have blanks and be of any zone.
func TestCRILines(t *testing.T) {
	const at = "2026-11-26T10:00:15.214670091"
	ts := time.Date(2026, 11, 26, 10, 0, 15, 214670091, time.UTC).UnixNano()
	for line, want := range map[string]Entry{
		at + "+00:00 stdout F hello":        {Std: Stdout, TS: ts, Newline: true, Text: []byte("hello")},
		at + "Z stderr F  two  blanks ":     {Std: Stderr, TS: ts, Newline: true, Text: []byte(" two  blanks ")},
		at + "+02:00 stdout P go":           {Std: Stdout, TS: ts - 2*3600e9, Piece: true, Text: []byte("go")},
		at + "-05:30 stdout F \r":           {Std: Stdout, TS: ts + 5*3600e9 + 1800e9, Newline: true, Text: []byte("\r")},
		at + "+00:00 stdout F ":             {Std: Stdout, TS: ts, Newline: true},
		at + "+00:00 stdout F":              {Std: Stdout, TS: ts, Newline: true},
		at + "+00:00 stdout P:x tags":       {Std: Stdout, TS: ts, Piece: true, Text: []byte("tags")},
		"2026-11-26T10:00:15Z stdout F s":   {Std: Stdout, TS: ts - 214670091, Newline: true, Text: []byte("s")},
		"\x00\x00" + at + "Z stdout F hole": {Std: Stdout, TS: ts, Newline: true, Text: []byte("hole")},
	} {
		got, c := cutCRI(t, line+"\n")
		if len(got) != 1 || c.Damaged > 0 {
			t.Errorf("%q: %d records, %d damaged", line, len(got), c.Damaged)
			continue
		}
		e := got[0]
		if e.Std != want.Std || e.TS != want.TS || e.Newline != want.Newline || e.Piece != want.Piece || string(e.Text) != string(want.Text) || e.Place.End != int64(len(line)+1) || e.Place.Inode != 7 {
			t.Errorf("%q: %+v", line, e)
		}
		if e.GoesOn() != want.Piece {
			t.Errorf("%q: goes on %v", line, e.GoesOn())
		}
	}
	for _, line := range []string{"", "x", at + " stdout F no zone", at + "Z stdin F x", at + "Z stdout Q x", at + "Z stdout  x", at + "Z", `{"log":"x\n","stream":"stdout","time":"` + at + `Z"}`} {
		if got, c := cutCRI(t, line+"\n"+at+"Z stdout F next\n"); len(got) != 1 || string(got[0].Text) != "next" || c.Damaged != min(1, len(line)) {
			t.Errorf("%q: %d records, %d damaged", line, len(got), c.Damaged)
		}
	}
}

// A timestamp with a zone is what time.Parse takes it for.
func FuzzZonedTime(f *testing.F) {
	for _, s := range []string{"2026-11-26T10:00:15.214670091+00:00", "1970-01-01T00:00:00.000000000+05:00", "2105-12-31T23:59:59.999999999-23:59", "2026-02-30T10:00:15.214670091+00:00", "2026-11-26T10:00:15Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseZonedTime([]byte(s))
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
		if ok && err != nil {
			t.Fatalf("%q is taken for a time", s)
		}
		if err != nil || !ok || got == Undated {
			return
		}
		if got != want.UnixNano() {
			t.Errorf("%q: %d, not %d", s, got, want.UnixNano())
		}
	})
}

func TestCRILinesDoNotAllocate(t *testing.T) {
	b := []byte(strings.Repeat("2026-11-26T10:00:15.214670091+00:00 stdout F a line of a usual length, more or less\n", 100))
	c := &JSONCutter{CRI: true}
	if n := testing.AllocsPerRun(10, func() { _, _ = c.Each(b, 1, 0, func(*Entry) error { return nil }) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
