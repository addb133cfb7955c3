package decode

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/testkit"
)

// cutTTY cuts a log that is read in steps of so many bytes.
func cutTTY(t testing.TB, cutter TTY, log string, step int) (out []Entry) {
	t.Helper()
	if cutter.Now == nil {
		cutter.Now = func() int64 { return time.Now().UnixNano() }
	}
	cutter.rough = true
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
			e.Text = bytes.Clone(e.Text)
			out = append(out, e)
			w = w[n:]
		}
	}
	return out
}

func textsOfEntries(es []Entry) (out []string) {
	for _, e := range es {
		out = append(out, string(e.Text))
	}
	return out
}

// known are records that were cut before.
type known []Entry

func (k known) End(line []byte, ts int64, goesOn bool) int {
	for _, e := range k {
		if e.TS == ts && (len(e.Text) > 0 || goesOn) && bytes.HasPrefix(line, e.Text) {
			if _, _, ok := CutTime(line[len(e.Text):]); ok || len(e.Text) == len(line) {
				return len(e.Text)
			}
		}
	}
	return -1
}

const (
	ttyBefore = "2026-11-23T14:05:06.789012345Z"
	ttyAfter  = "2026-11-23T14:05:09.000000001Z"
	ttyLater  = "2026-11-23T14:06:00.000000001Z"
)

// A log cut at any byte is cut into the same records.
func TestTTYRecords(t *testing.T) {
	chunk := strings.Repeat("x", ChunkSize)
	for _, c := range []struct {
		name, log string
		want      []string
	}{
		{"lines", ttyBefore + " one\r\n" + ttyBefore + " \r\n", []string{"one\r", "\r"}},
		{"partials", ttyBefore + " " + chunk + ttyBefore + " " + chunk + ttyBefore + " end\r\n", []string{chunk, chunk, "end\r"}},
		{"partials with times of their own", ttyBefore + " " + chunk + ttyAfter + " " + chunk + ttyLater + " end\r\n", []string{chunk, chunk, "end\r"}},
		{"what a run left unterminated", ttyBefore + " $ " + ttyAfter + " after the restart\r\n", []string{"$ ", "after the restart\r"}},
		{"of several runs", ttyBefore + " a" + ttyAfter + " b" + ttyLater + " c", []string{"a", "b", "c"}},
		{"a line that ends with the log", ttyAfter + " unterminated", []string{"unterminated"}},
		{"an older date in a line", ttyAfter + " says " + ttyBefore + " itself\r\n", []string{"says " + ttyBefore + " itself\r"}},
		{"a date that is later than the next record", ttyBefore + " next at " + ttyLater + " or so\r\n" + ttyAfter + " x\r\n",
			[]string{"next at " + ttyLater + " or so\r", "x\r"}},
		{"a date in the future", ttyBefore + " next at 2105-01-01T00:00:00.000000000Z or so\r\n", []string{"next at 2105-01-01T00:00:00.000000000Z or so\r"}},
		{"dates of another form", ttyBefore + " 2026-11-23T14:05:09Z a 2026-11-23T14:05:09.5Z b 2026-11-23T14:05:09.000000001+01:00 c " + ttyAfter + "\r\n",
			[]string{"2026-11-23T14:05:09Z a 2026-11-23T14:05:09.5Z b 2026-11-23T14:05:09.000000001+01:00 c " + ttyAfter + "\r"}},
		{"dates in the rest of a long line", ttyBefore + " " + chunk + ttyBefore + " at " + ttyAfter + " on\r\n", []string{chunk, "at " + ttyAfter + " on\r"}},
		{"whole seconds", "2026-11-23T14:05:06Z a\r\n2026-11-23T14:05:06Z b\r\n", []string{"a\r", "b\r"}},
		{"another zone", "2026-11-23T14:05:06.789012345+01:00 a\r\n2026-11-23T14:05:06.789012345+01:00 b\r\n", []string{"a\r", "b\r"}},
		{"no time", "0001-01-01T00:00:00.000000000Z a " + ttyAfter + " b\r\nneither\r\n" + ttyAfter + " c\r\n", []string{"a " + ttyAfter + " b\r", "neither\r", "c\r"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.name, "next record") { // which has to be there
				testkit.CheckSequence(t, "records", c.want, textsOfEntries(cutTTY(t, TTY{}, c.log, len(c.log))))
				return
			}
			for _, step := range []int{1, 7, 31, 4096, len(c.log)} {
				testkit.CheckSequence(t, fmt.Sprint("records read by ", step), c.want, textsOfEntries(cutTTY(t, TTY{}, c.log, step)))
			}
		})
	}
}

// The local driver of Engine 20.10 loses the newline of a long line.
func TestTTYLongLinesWithoutEnd(t *testing.T) {
	chunk := strings.Repeat("x", ChunkSize)
	log := ttyBefore + " a\r\n" + ttyBefore + " " + chunk + ttyBefore + " end\r" + ttyAfter + " b\r\n" +
		ttyAfter + " " + chunk + ttyAfter + " " + ttyLater + " c\r\n" + ttyLater + " " + chunk + ttyLater + " end\r"
	want := []string{"a\r", chunk, "end\r", "b\r", chunk, "", "c\r", chunk, "end\r"}
	at, err := time.Parse(time.RFC3339Nano, ttyLater)
	testkit.Must(t, err)
	for _, step := range []int{1, 7, 31, 4096, len(log)} {
		cutter := TTY{Loose: true, From: 1, To: at.UnixNano() + 1}
		testkit.CheckSequence(t, fmt.Sprint("records read by ", step), want, textsOfEntries(cutTTY(t, cutter, log, step)))
	}
	// A tail may begin with the end of a line, and what is followed has no end.
	behind := log[strings.Index(log, ttyBefore+" end"):]
	testkit.CheckSequence(t, "records of a tail", want[2:], textsOfEntries(cutTTY(t, TTY{Loose: true, From: 1, To: at.UnixNano() + 1}, behind, 31)))
	// That may be empty; a text that begins with a time is older than its record.
	behind = log[strings.Index(log, ttyAfter+" "+ttyLater):]
	testkit.CheckSequence(t, "records of a tail that begins with an empty one", want[5:], textsOfEntries(cutTTY(t, TTY{Loose: true, From: 1, To: at.UnixNano() + 1}, behind, 31)))
	dated := ttyLater + " " + ttyBefore + " says itself\r\n"
	testkit.CheckSequence(t, "records of a tail that begins with a time", []string{ttyBefore + " says itself\r"}, textsOfEntries(cutTTY(t, TTY{Loose: true}, dated, 31)))
	cutter := TTY{Loose: true, Now: func() int64 { return at.UnixNano() }}
	for rest, i := []byte(log), 0; i < len(want); i++ {
		e, n, err := cutter.cut(rest, false)
		if err != nil || n == 0 {
			t.Fatalf("record %d: %v", i, err)
		}
		if string(e.Text) != want[i] {
			t.Errorf("record %d is %.20q", i, e.Text)
		}
		rest = rest[n:]
	}
}

// The pieces of journald each have a time of their own before Engine 23: earlier or
// later ones, between the moments at which the container was seen to run.
func TestTTYPiecesWithTheirOwnTimes(t *testing.T) {
	chunk := strings.Repeat("x", ChunkSize-len(ttyBefore)-3) + " " + ttyBefore + " x"
	log := ttyBefore + " a\r\n" + ttyBefore + " " + chunk + ttyAfter + " " + chunk + ttyBefore + " " + ttyLater + " end\r\n" +
		ttyAfter + " " + ttyAfter + " b\r\n" + ttyLater + " " + chunk
	want := []string{"a\r", chunk, chunk, ttyLater + " end\r", ttyAfter + " b\r", chunk}
	at, err := time.Parse(time.RFC3339Nano, ttyLater)
	testkit.Must(t, err)
	for _, step := range []int{1, 7, 31, 4096, len(log)} {
		testkit.CheckSequence(t, fmt.Sprint("records read by ", step), want, textsOfEntries(cutTTY(t, TTY{Exact: true, From: 1, To: at.UnixNano() + 1}, log, step)))
	}
}

// What a run left unterminated is told from the next record as it is elsewhere.
func TestTTYOwnTimesUnterminated(t *testing.T) {
	chunk := strings.Repeat("x", ChunkSize)
	log := ttyBefore + " " + chunk + ttyAfter + " end\r\n" + ttyAfter + " $ " + ttyLater + " " + chunk + ttyLater + " c\r\n"
	for _, step := range []int{1, 31, len(log)} {
		testkit.CheckSequence(t, fmt.Sprint("records read by ", step), []string{chunk, "end\r", "$ ", chunk, "c\r"}, textsOfEntries(cutTTY(t, TTY{Exact: true}, log, step)))
	}
}

// What a run left unterminated is known again although nothing follows it.
func TestTTYKnownRecordAtTheEnd(t *testing.T) {
	es := cutTTY(t, TTY{}, ttyBefore+" $ ", 100)
	cutter := TTY{known: known(es), Now: func() int64 { return time.Now().UnixNano() }}
	if _, n, err := cutter.cut([]byte(ttyBefore+" $"), false); n != 0 || err != nil {
		t.Errorf("a part of it: %d bytes, %v", n, err)
	}
	if e, n, err := cutter.cut([]byte(ttyBefore+" $ "), false); n == 0 || err != nil || string(e.Text) != "$ " {
		t.Errorf("the record: %d bytes, %q, %v", n, e.Text, err)
	}
	// It may have ended in a newline, which comes late.
	if e, n, err := cutter.cut([]byte("\n"+ttyAfter+" x\n"), false); n != len(ttyAfter)+4 || err != nil || string(e.Text) != "x" {
		t.Errorf("the next one: %d bytes, %q, %v", n, e.Text, err)
	}
}

// A newline that comes late is no part of a next record.
func TestTTYLateNewlineIsNoRest(t *testing.T) {
	w := NewWindow(&TTY{Now: func() int64 { return time.Now().UnixNano() }}, false)
	w.Expect(known(cutTTY(t, TTY{}, ttyBefore+" $ ", 100)))
	var texts []string
	for _, part := range []string{ttyBefore + " $ ", "\n", ttyAfter + " x", "\n"} {
		_, err := w.Fill(strings.NewReader(part))
		testkit.Must(t, err)
		testkit.Must(t, w.Each(false, func(e *Entry) error { texts = append(texts, string(e.Text)); return nil }))
		if part == "\n" && w.Rest() != 0 {
			t.Errorf("%d bytes are left behind %q", w.Rest(), texts)
		}
	}
	testkit.CheckSequence(t, "records", []string{"$ ", "x"}, texts)
}

// Records that were stamped before the container was seen to run are not the
// last of its run: none of them is unterminated.
func TestTTYDateInALineOfThisRun(t *testing.T) {
	log := ttyBefore + " done at " + ttyAfter + " or so\r\n" + ttyLater + " x\r\n"
	at, err := time.Parse(time.RFC3339Nano, ttyBefore)
	testkit.Must(t, err)
	ran := TTY{From: at.UnixNano() - 1, To: at.UnixNano() + 1}
	testkit.CheckSequence(t, "records", []string{"done at " + ttyAfter + " or so\r", "x\r"}, textsOfEntries(cutTTY(t, ran, log, len(log))))
	ran.To--
	testkit.CheckSequence(t, "records", []string{"done at ", "or so\r", "x\r"}, textsOfEntries(cutTTY(t, ran, log, len(log))))
}

// What was cut once is cut the same again, whatever is thought of it by then.
func TestTTYRecordsAreCutAsBefore(t *testing.T) {
	for _, c := range []struct {
		first, log string
	}{
		// The container's run ended, and what began then has an older time.
		{ttyAfter + " $ ", ttyAfter + " $ " + ttyBefore + " x\r\n"},
		// The date was in the future then.
		{ttyBefore + " at " + ttyAfter + " on\r\n", ttyBefore + " at " + ttyAfter + " on\r\n" + ttyLater + " x\r\n"},
	} {
		early, err := time.Parse(time.RFC3339Nano, ttyBefore)
		testkit.Must(t, err)
		was := cutTTY(t, TTY{Now: func() int64 { return early.UnixNano() - ClockSlack }}, c.first, len(c.first))
		now := cutTTY(t, TTY{known: known(was)}, c.log, len(c.log))
		want := append(textsOfEntries(was), "x\r")
		testkit.CheckSequence(t, "records", want, textsOfEntries(now))
	}
}

// A text without end is cut into pieces of one size, and all of it comes.
func TestTTYTextWithoutEnd(t *testing.T) {
	text := strings.Repeat("0123456789", MaxFrame/4)
	log := ttyBefore + " " + text + "\r\n" + ttyAfter + " x\r\n"
	for _, step := range []int{MaxWindow, MaxFrame + 100, len(log)} {
		es := cutTTY(t, TTY{}, log, step)
		var joined strings.Builder
		for _, e := range es[:len(es)-1] {
			joined.Write(e.Text)
		}
		if len(es) != 4 || joined.String() != text+"\r" || string(es[3].Text) != "x\r" || es[2].TS != es[0].TS || len(es[0].Text) != MaxFrame {
			t.Errorf("by %d: %d records, %d bytes", step, len(es), joined.Len())
		}
	}
}

// Each byte of a long text is looked at a few times at most, however small the
// pieces are in which it comes: were it all of the text each time, this would
// take minutes.
func TestTTYLongTextInSmallPieces(t *testing.T) {
	log := []byte(ttyBefore + " " + strings.Repeat("at 14:05:06Z or 2026-11-23T14:05:06Z ", MaxFrame/38))
	began := time.Now()
	c := TTY{Now: func() int64 { return time.Now().UnixNano() }}
	for n := 16; n < len(log); n += 16 {
		if _, k, err := c.cut(log[:n], false); k != 0 || err != nil {
			t.Fatal(k, err)
		}
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

func FuzzTTYCutter(f *testing.F) {
	f.Add([]byte(testkit.Stamp+" a\r\n"+testkit.Stamp+" b"), uint8(3))
	f.Add([]byte("x"), uint8(0))
	f.Add([]byte(ttyBefore+" a"+ttyAfter+" b\r\n"), uint8(40))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		for _, p := range [][]byte{[]byte(ttyError)} {
			if bytes.Contains(b, p) {
				return
			}
		}
		log := string(b)
		whole := cutTTY(t, TTY{}, log, len(log)+1)
		total := 0
		for i := range whole {
			total += len(whole[i].Text)
		}
		if total > len(b) {
			t.Fatalf("%d bytes of text in %d", total, len(b))
		}
		cutTTY(t, TTY{}, log, int(step)+1)
	})
}
