package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/docker/docker/daemon/logger/jsonfilelog/jsonlog"
)

// mobyRecord is a record as the Engine's own code writes it.
func mobyRecord(tb testing.TB, text string, std string, ts time.Time, attrs string) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := (&jsonlog.JSONLogs{Log: []byte(text), Stream: std, Created: ts.UTC(), RawAttrs: []byte(attrs)}).MarshalJSONBuf(&b); err != nil {
		tb.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

type parsed struct {
	Std     uint8
	TS      int64
	Text    string
	Newline bool
	Spot    Place
}

// parseAll returns the records that a cutter finds in b, as in file 7.
func parseAll(c *JSONCutter, b []byte) (out []parsed) {
	n, err := c.Each(b, 7, 1000, func(e *Entry) error {
		out = append(out, parsed{e.Std, e.TS, string(e.Text), e.Newline, e.Place})
		return nil
	})
	if err != nil || n != bytes.LastIndexByte(b, '\n')+1 {
		panic(fmt.Sprint(n, err))
	}
	return out
}

func TestRecordsOfTheEngineAreParsed(t *testing.T) {
	texts := []string{"", "\n", "plain\n", "no newline", "\\", "\\\n", "\\n", `a\nb` + "\n", "\r\n", `{"json":"in \"json\""}` + "\n",
		"日本語\u2028\u2029\ufffd\n", "<a href=\"x\">&</a>\n", strings.Repeat("x", ChunkSize), strings.Repeat("\x01", ChunkSize)}
	for i := range 256 {
		texts = append(texts, string([]byte{'a', byte(i), 'b', '\n'}), string([]byte{byte(i)}))
	}
	times := []time.Time{time.Unix(0, 1).UTC(), time.Unix(1700000000, 0), time.Unix(1700000000, 120000000), time.Unix(1700000000, 123456789)}
	var c JSONCutter
	for i, text := range texts {
		for _, attrs := range []string{"", `{"env":"x\"}","tag":"y"}`} {
			ts, std := times[i%len(times)], []string{"stdout", "stderr"}[i%2]
			line := mobyRecord(t, text, std, ts, attrs)
			raw := bytes.Clone(line)
			got := parseAll(&c, line)
			var valid strings.Builder
			for _, r := range text { // each bad byte is one U+FFFD
				valid.WriteRune(r)
			}
			text, newline := strings.CutSuffix(valid.String(), "\n")
			want := []parsed{{[]uint8{Stdout, Stderr}[i%2], ts.UnixNano(), text, newline, Place{7, 1000 + int64(len(line)), uint32(len(line))}}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%q:\n got %+v\nwant %+v", line, got, want)
			}
			if !bytes.Equal(raw, line) {
				t.Errorf("the bytes read were changed: %q", line)
			}
		}
	}
	if c.Damaged != 0 {
		t.Errorf("%d damaged", c.Damaged)
	}
}

func TestDamagedBytesAreLeftOut(t *testing.T) {
	ts := time.Unix(1700000000, 123456789)
	a, b := string(mobyRecord(t, "a \"quoted\"\n", "stdout", ts, "")), string(mobyRecord(t, "b\n", "stderr", ts, ""))
	attrs := string(mobyRecord(t, "c\n", "stdout", ts, `{"log":"v","tag":"x"}`)) // --log-opt labels=log
	for _, test := range []struct {
		in      string
		want    string // the texts
		damaged int
	}{
		{a + b, `a "quoted"|b`, 0},
		{a[:len(a)/2] + b, "b", 1},
		{a[:20] + a[:30] + b + a, `b|a "quoted"`, 1},
		{a[:len(a)-1] + b, `a "quoted"|b`, 0},
		{strings.Repeat("\x00", 5000) + a + b, `a "quoted"|b`, 0},
		{a + strings.Repeat("\x00", 5000) + b, `a "quoted"|b`, 0},
		{a[:40] + "\x00\x00\x00" + b, "b", 1},
		{a + "garbage\n\xff\xfe\n" + b, `a "quoted"|b`, 2},
		{a + "\n\n" + b, `a "quoted"|b`, 0},
		{strings.Repeat("\x00", 300) + attrs + attrs, "c|c", 0},
		{a[:30] + attrs + b, "c|b", 1},
		{attrs[:len(attrs)-1] + attrs[:len(attrs)-1] + b, "c|c|b", 0},
		{attrs[:90] + attrs + b, "c|b", 1},
		{a[:len(a)-1] + "\x00\x00" + attrs + b, `a "quoted"|c|b`, 1},
		{`{"log":"a","stream":"stdout","attrs":` + attrs + b, "c|b", 1},
		{a + `{"log":"x","stream":"stdin","time":"2023-11-14T22:13:20Z"}` + "\n" + b, `a "quoted"|b`, 1},
		{a + `{"log":"x","stream":"stdout","time":"yesterday"}` + "\n" + b, `a "quoted"|x|b`, 0},
		{a + `{"log":"x","stream":"stdout"}` + "\n" + b, `a "quoted"|x|b`, 0},
		{a + `{"log":"x","time":"2023-11-14T22:13:20Z"}` + "\n" + b, `a "quoted"|b`, 1},
	} {
		var c JSONCutter
		var texts []string
		for _, p := range parseAll(&c, []byte(test.in)) {
			texts = append(texts, p.Text)
			at := test.in[p.Spot.End-1000-int64(p.Spot.Size) : p.Spot.End-1000]
			if e := (JSONCutter{}); !e.Parse([]byte(strings.TrimSuffix(at, "\n"))) || string(e.Entry.Text) != p.Text {
				t.Errorf("%q: the spot of %q holds %q", test.in, p.Text, at)
			}
		}
		if got := strings.Join(texts, "|"); got != test.want || c.Damaged != test.damaged {
			t.Errorf("%q: %q and %d damaged, not %q and %d", test.in, got, c.Damaged, test.want, test.damaged)
		}
	}
}

// Whatever line is accepted, encoding/json reads the same in it.
func FuzzRecordAgainstEncodingJSON(f *testing.F) {
	ts := time.Unix(1700000000, 120000000)
	for _, text := range []string{"a\n", "\\\"\n", "\x01\u2028<>&\n", ""} {
		f.Add(bytes.TrimSuffix(mobyRecord(f, text, "stdout", ts, ""), []byte("\n")))
		f.Add(bytes.TrimSuffix(mobyRecord(f, text, "stderr", ts, `{"a":"b"}`), []byte("\n")))
	}
	f.Add([]byte(`{ "time":"2023-11-14T22:13:20+02:00", "x":[1,{"y":null}], "log":"\ud83d\ude00\ud83d\t\/\b\f", "stream":"stdout" }`))
	f.Fuzz(func(t *testing.T, line []byte) {
		c := JSONCutter{attrs: []byte(`{"a":"b"}`)}
		if bytes.IndexByte(line, '\n') >= 0 || !c.Parse(line) {
			return
		}
		for _, b := range line {
			if b < ' ' && b != '\t' && b != '\r' { // encoding/json refuses them, we take them as they are
				return
			}
		}
		if !utf8.Valid(line) || !json.Valid(line) {
			if utf8.Valid(line) && !bytes.ContainsAny(line, "\t\r") {
				checkLenient(t, line)
			}
			return
		}
		var want map[string]any
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		log, _ := want["log"].(string)
		text, newline := strings.CutSuffix(log, "\n")
		stamp, _ := want["time"].(string)
		std := map[any]uint8{"stdout": Stdout, "stderr": Stderr}[want["stream"]]
		if string(c.Entry.Text) != text || c.Entry.Newline != newline || c.Entry.TS != timeOf(stamp) || c.Entry.Std != std {
			t.Fatalf("%q: %+v, not %v, %v", line, c.Entry, want, stamp)
		}
	})
}

// timeOf is what time.Parse reads, where that is a time for a record.
func timeOf(stamp string) int64 {
	when, err := time.Parse(time.RFC3339Nano, strings.ToUpper(stamp))
	if err != nil || len(stamp) > maxTimeSize || when.Unix() < 0 || when.UTC().Year() > 2105 {
		return Undated
	}
	return when.UnixNano()
}

func FuzzAnyTime(f *testing.F) {
	for _, s := range []string{"2006-01-02T15:04:05Z", "2006-01-02t15:04:05.1z", "2024-02-29T23:59:59.000000001+14:00", "0001-01-01T00:00:00Z", "2006-01-02T15:04:05.-07:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ts, ok := parseAnyTime([]byte(s)); ts != timeOf(s) || (!ok && ts != Undated) {
			t.Fatalf("%q: %d, %v; not %d", s, ts, ok, timeOf(s))
		}
	})
}

// salvaged is what is left in a line of pieces of records, found by
// encoding/json: at each place the object that begins there, if it is a record.
func salvaged(line []byte) (texts []string) {
	for i := 0; i < len(line); {
		var raw json.RawMessage
		var r struct{ Log, Stream, Time *string }
		if !bytes.HasPrefix(line[i:], []byte(recordStart)) || json.NewDecoder(bytes.NewReader(line[i:])).Decode(&raw) != nil ||
			json.Unmarshal(raw, &r) != nil || r.Log == nil || r.Stream == nil || r.Time == nil {
			i++
			continue
		}
		texts = append(texts, strings.TrimSuffix(*r.Log, "\n"))
		i += len(raw)
	}
	return texts
}

// Whatever a crash left torn and glued together, all whole records in it are
// found.
func FuzzSalvage(f *testing.F) {
	f.Add(uint64(0x1234), "a", []byte{0x80, 0x21, 0xff})
	f.Add(uint64(0xffff), `{"log":"x"}`, []byte{30, 90, 255, 2, 7, 128})
	ts := time.Unix(1700000000, 120000000)
	f.Fuzz(func(t *testing.T, kinds uint64, text string, cuts []byte) {
		var line []byte
		want := 0
		for i, cut := range cuts[:min(len(cuts), 32)] {
			kind := kinds >> (2 * i)
			attrs := []string{"", `{"log":"v"}`, `{"a":"\"{","log":"{\"log\":\"v\"}"}`, `{"log":"v","stream":"stdout"}`}[kind&3]
			r := bytes.TrimSuffix(mobyRecord(t, fmt.Sprint(text, i, "\n"), "stdout", ts, attrs), []byte("\n"))
			if int(cut) < len(r) {
				r = r[:cut] // torn
			} else {
				want++
			}
			if cut%16 == 7 {
				r = append(r, "\x00\x00garbage"...)
			}
			line = append(line, r...)
		}
		oracle := salvaged(line)
		var c JSONCutter
		var got []string
		for _, p := range parseAll(&c, append(line, '\n')) {
			got = append(got, p.Text)
		}
		if !slices.Equal(got, oracle) {
			t.Fatalf("%q:\n got %q\nwant %q", line, got, oracle)
		}
		if len(got) > want {
			t.Fatalf("%q: %d records of %d whole ones", line, len(got), want)
		}
		if size := 0; c.Damaged == 0 {
			for _, cut := range cuts[:min(len(cuts), 32)] {
				size += min(1, int(cut))
			}
			if len(got) < size {
				t.Fatalf("%q: no damage is counted", line)
			}
		}
	})
}

// A line of nothing but starts of records takes no more time than another.
func TestSalvageIsLinear(t *testing.T) {
	for _, piece := range []string{recordStart, recordStart + `a","x":`, recordStart + `a","x":[`, `{"log":"a",`, recordStart + `\`} {
		line := []byte(strings.Repeat(piece, MaxFrame/len(piece)) + "\n")
		var c JSONCutter
		began := time.Now()
		if len(parseAll(&c, line)) > 0 || c.Damaged != 1 {
			t.Errorf("%.20q...: %d damaged", line, c.Damaged)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%.20q...: %v", line, d)
		}
	}
}

// checkLenient allows no other leniency than in the values that are skipped.
func checkLenient(t *testing.T, line []byte) {
	var c JSONCutter
	if c.parseInOrder(line) {
		t.Fatalf("%q is no JSON", line)
	}
}

// Whatever the Engine stores is parsed, whichever way it is written.
func FuzzRecordOfTheEngine(f *testing.F) {
	f.Add("a\n", true, int64(1700000000120000000), "")
	f.Add("\\\"\u2028\xff<\n", false, int64(1), "value")
	f.Fuzz(func(t *testing.T, text string, out bool, ts int64, attr string) {
		std := map[bool]string{true: "stdout", false: "stderr"}[out]
		ts &= 1<<62 - 1 // years 1970 to 2116
		when := time.Unix(0, ts).UTC()
		if when.Year() > 2105 {
			return
		}
		attrs := ""
		if attr != "" {
			b, err := json.Marshal(map[string]string{"a": attr})
			if err != nil {
				t.Fatal(err)
			}
			attrs = string(b)
		}
		line := mobyRecord(t, text, std, when, attrs)
		var want struct{ Log, Stream, Time string }
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(map[string]string{"log": want.Log, "stream": std, "time": want.Time})
		if err != nil {
			t.Fatal(err)
		}
		var c JSONCutter
		for _, line := range [][]byte{line[:len(line)-1], line[:len(line)-1], again} { // attrs are known at the second
			if !c.Parse(line) {
				t.Fatalf("%q is refused", line)
			}
			got := string(c.Entry.Text)
			if c.Entry.Newline {
				got += "\n"
			}
			if got != want.Log || c.Entry.TS != ts || (c.Entry.Std == Stdout) != out {
				t.Fatalf("%q: %+v", line, c.Entry)
			}
		}
	})
}

func FuzzShortTime(f *testing.F) {
	for _, s := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.1Z", "2024-02-29T23:59:59.000000001Z", "2006-01-02T15:04:05.Z", "2006-01-02T15:04:05.12Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseShortTime([]byte(s))
		want, err := time.Parse(time.RFC3339Nano, s)
		if !ok {
			if err == nil && want.Year() >= 1970 && want.Year() <= 2105 && want.Format(time.RFC3339Nano) == s && strings.HasSuffix(s, "Z") {
				t.Fatalf("%q is refused", s)
			}
			return
		}
		if err != nil || got != want.UnixNano() {
			t.Fatalf("%q: %d, not %v, %v", s, got, want, err)
		}
	})
}

func BenchmarkRecordParser(b *testing.B) {
	ts := time.Unix(1700000000, 123456789)
	for name, text := range map[string]string{
		"plain": fmt.Sprintf("%-129s\n", "GET /api/v1/items/4711 200 took 3.2ms"),
		"json":  fmt.Sprintf("%-129s", `{"level":"info","msg":"GET /api/v1/items/4711 200","took":"3.2ms"}`) + "\n",
		"html":  strings.Repeat("<a href=\"x\">&amp;</a>", 6) + "\n",
	} {
		for with, attrs := range map[string]string{"": "", "+attrs": `{"com.docker.compose.project":"shop","com.docker.compose.service":"web","tag":"shop-web-1"}`} {
			b.Run(name+with, func(b *testing.B) {
				line := mobyRecord(b, text, "stdout", ts, attrs)
				data := bytes.Repeat(line, 64<<10/len(line))
				var c JSONCutter
				n := 0
				count := func(e *Entry) error { n += len(e.Text); return nil }
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Each(data, 1, 0, count); err != nil || c.Damaged > 0 {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*(64<<10/len(line))), "ns/line")
			})
		}
	}
}
