package chaos

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWitnessBehindPart: a record that a full disk has cut hides none that the Engine, or its file, still shows.
func TestWitnessBehindPart(t *testing.T) {
	stamp := time.Unix(1_700_000_000, 5).UTC()
	jsonRecord := func(text string) string {
		b, err := json.Marshal(map[string]any{"log": text + "\n", "stream": "stdout", "time": stamp})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	localRecord := func(text string) string {
		entry := append([]byte{1<<3 | 2, 6}, "stdout"...)
		entry = binary.AppendUvarint(append(entry, 2<<3), uint64(stamp.UnixNano()))
		entry = append(append(entry, 3<<3|2, byte(len(text))), text...)
		n := binary.BigEndian.AppendUint32(nil, uint32(len(entry)))
		return string(n) + string(entry) + string(n)
	}
	type parser = func([]byte, func(string, time.Time, string, bool))
	for _, driver := range []struct {
		name   string
		record func(string) string
		parse  parser
	}{{"json-file", jsonRecord, parseJSONFile}, {"local", localRecord, parseLocal}} {
		a, b, c := driver.record("a"), driver.record(`b {"log":"x`), driver.record("c")
		for name, content := range map[string]string{
			"whole":                 a + b + c,
			"cut at its end":        a + b[:len(b)-3] + b + c,
			"cut at its begin":      a + b[:2] + b + c,
			"twice":                 a + c[:9] + strings.Repeat(b[:7], 2) + b + c,
			"zeros":                 a + strings.Repeat("\x00", 64) + b + c,
			"cut, and then no more": a + b + c + a[:10],
		} {
			var got []string
			driver.parse([]byte(content), func(std string, at time.Time, text string, ended bool) {
				got = append(got, fmt.Sprint(std, at.Equal(stamp), text, ended))
			})
			var want []string
			for _, text := range []string{"a", `b {"log":"x`, "c"} {
				want = append(want, fmt.Sprint("stdout", true, text, true))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", driver.name, name, got, want)
			}
		}
	}
}

// TestJournalMessage: what is no text is a list of its bytes.
func TestJournalMessage(t *testing.T) {
	for text, want := range map[string]string{`"a\"b"`: `a"b`, `""`: "", `[104,105,255,0]`: "hi\xff\x00"} {
		var m message
		if err := json.Unmarshal([]byte(text), &m); err != nil || string(m) != want {
			t.Errorf("%s: %q (%v), want %q", text, m, err, want)
		}
	}
	var m message
	if err := json.Unmarshal([]byte("{}"), &m); err == nil {
		t.Error("an object is taken for a message")
	}
}

// TestJoiner: the pieces of a line have one time, but for journald's.
func TestJoiner(t *testing.T) {
	at := func(i int) time.Time { return time.Unix(1_700_000_000, int64(i)) }
	for apart, want := range map[bool]string{false: "ab c d", true: "abcd"} {
		j := joiner{apart: apart, open: map[string]*line{}}
		j.add("stdout", at(1), "a", false, true)
		j.add("stdout", at(1), "b", false, true)
		j.add("stdout", at(2), "c", false, true)
		j.add("stdout", at(3), "d", true, true)
		var got []string
		for _, l := range j.lines() {
			got = append(got, l.text)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("apart %v: %q, want %q", apart, text, want)
		}
	}
}
