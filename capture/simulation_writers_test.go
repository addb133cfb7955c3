package capture_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// written is the journal of one container: what it wrote, and what came of it.
type written struct {
	w    *world
	c    *dockertest.Ctr
	spec planContainer
	name string       // without what a rename adds
	n    atomic.Int64 // lines begun, for their text
	born time.Time

	mu     sync.Mutex
	lines  [3][]*wline // by std
	part   [3]openLine
	byText map[uint64][]*wline // of both std streams
	kept   [3]int              // by std: lines before it are not kept by the Engine any more
	last   [3]int              // by std: the newest line that the present agent delivered
	first  [3]int              // by std: no line before it is to come yet

	// What makes lines missing or broken, see the oracle.
	handled     time.Time // when somebody last handled its file
	moved       time.Time // when it was last moved away, or another put in its place
	movedBlind  bool      // when the agent may not have had it open
	damagedFrom int       // number of the first record that may be damaged, -1: none
	damagedTo   int
	tears       []int     // numbers of the records that are glued to a torn one
	buffered    bool      // with what the decoder of Engine 20.10 has buffered
	readable    time.Time // when the first record behind that was stored
	torn        bool
	skips       int
	ended       bool // a follow of it was ended as if it had been sent all
	undated     bool
	long        bool // a line was more than one record, whether it has an end or not
	odd         bool // bytes that are no record were sent or stored
	gone        bool
	goneAt      time.Time
	goneUnseen  bool // when it was removed nobody could see it
	unwanted    []period
	unknown     bool      // nobody was told of it before it was not wanted
	begins      []begins  // see emptied
	held        time.Time // until when somebody had it open, so that Engine 20.10 hid files of it
}

// wline is one line.
type wline struct {
	std     uint8
	i       int    // its place among those of its std stream
	text    string // as the log driver stores it
	lo, hi  int64  // between which its time is
	undated bool
	long    bool      // it is more than one record
	begun   time.Time // when its first bytes were written
	unended bool      // it ended with the run of its container
	at      time.Time // when it was complete
	seq     int       // of its first record
	file    int       // of the log, where its end is
	forgot  time.Time // when it was rotated away, zero while it is kept

	came     int
	agent    int // that it came of last
	acked    time.Time
	fragment bool // a part of it came, flagged
}

// openLine is what a std stream has written since its last newline.
type openLine struct {
	text    string
	lo, hi  int64
	begun   time.Time
	seq     int
	stamped bool // its first record is stored
	// fragment: a part of it came, flagged.
	fragment bool
}

// period is a time in which something was so; its end is zero while it is.
type period struct{ from, to time.Time }

// write writes the lines of a step.
func (x *written) write(s step) {
	for range s.N {
		if !x.line(s.Std, x.text(s)) {
			return // it does not run
		}
		if s.For > 0 {
			time.Sleep(time.Duration(s.For) * time.Millisecond)
		}
	}
}

// text is that of the next line.
func (x *written) text(s step) string {
	if s.Kind == "date" && x.spec.TTY {
		s.Kind = "" // what is a date tells records from each other there
	}
	text := makeLine(s, int(x.n.Add(1)))
	if x.spec.Compress && x.spec.Files && x.spec.MaxSize < 5*decode.ChunkSize {
		return unlikePieces(text) // nothing tells two compressed files of equal bytes from each other
	}
	return text
}

// unlikePieces makes the pieces of a long line differ.
func unlikePieces(text string) string {
	const each = 1000
	b := []byte(text)
	for i := each; i+8 <= len(b); i += each {
		if string(b[i:i+8]) == "xxxxxxxx" {
			copy(b[i:], fmt.Sprintf("%08d", i))
		}
	}
	return string(b)
}

// writeOn writes the lines of a step while others go on, whenever the container runs.
func (x *written) writeOn(s step) {
	tick := time.NewTicker(time.Duration(max(s.For, 1)) * time.Millisecond)
	defer tick.Stop()
	for range s.N {
		select {
		case <-tick.C:
		case <-x.w.quiet:
			return
		}
		x.w.pen <- struct{}{}
		x.line(s.Std, x.text(s))
		<-x.w.pen
	}
}

func (x *written) std(std int) uint8 {
	if x.spec.TTY {
		return decode.Stdout
	}
	return uint8(std)
}

// line writes the rest of a line, with its end.
func (x *written) line(to int, text string) bool {
	std, end := x.std(to), "\n"
	if x.spec.TTY {
		end = "\r\n"
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	text = x.withAnEnd(std, text)
	if !x.put(std, text+end) {
		return false
	}
	x.part[std].text += text
	x.complete(std)
	x.forget()
	return true
}

// withAnEnd lengthens the rest of a line whose last record would be empty: Engine 20.10
// does not show that of journald, so that nothing tells where the line ends. mu is held.
func (x *written) withAnEnd(std uint8, text string) string {
	n := len(x.part[std].text) + len(text)
	if x.spec.TTY {
		n++ // the CR
	}
	if x.spec.Driver == "journald" && x.w.p.API == "1.41" && n > 0 && n%decode.ChunkSize == 0 {
		text += "."
	}
	return text
}

// put writes bytes. mu is held.
func (x *written) put(std uint8, text string) bool {
	o := &x.part[std]
	if o.begun.IsZero() {
		o.begun = time.Now()
	}
	if !o.stamped {
		o.lo, o.seq = x.w.now(), x.c.Records()
	}
	if !x.c.Write(dockertest.Std(std), []byte(text)) {
		if o.text == "" {
			*o = openLine{}
		}
		return false
	}
	if !o.stamped && (strings.HasSuffix(text, "\n") || len(o.text)+len(text) >= decode.ChunkSize) {
		o.hi, o.stamped = x.w.now(), true
	}
	x.long = x.long || len(o.text)+len(text) >= decode.ChunkSize
	if x.damagedFrom >= 0 && x.readable.IsZero() && x.c.Records() > x.damagedTo {
		x.readable = time.Now()
	}
	x.forget()
	return true
}

// complete journals the line that is open. mu is held.
func (x *written) complete(std uint8) *wline {
	o := &x.part[std]
	l := &wline{std: std, i: len(x.lines[std]), text: x.stored(o.text), lo: o.lo, hi: o.hi, begun: o.begun, at: time.Now(), seq: o.seq, file: len(x.c.LogInodes()), fragment: o.fragment, long: len(o.text) >= decode.ChunkSize}
	x.lines[std] = append(x.lines[std], l)
	h := hashText(l.text)
	x.byText[h] = append(x.byText[h], l)
	*o = openLine{}
	x.w.lines.Add(1)
	return l
}

// stored is what the log driver makes of a line: json-file replaces each byte
// that is no UTF-8, also where it cuts a long line inside of a character.
func (x *written) stored(line string) string {
	if x.spec.Driver != "" {
		return line
	}
	var b strings.Builder
	for from := 0; from < len(line); from += decode.ChunkSize {
		b.WriteString(string([]rune(line[from:min(from+decode.ChunkSize, len(line))])))
	}
	return b.String()
}

// writePart writes the beginning of a line.
func (x *written) writePart(s step) {
	std := x.std(s.Std)
	part := x.text(step{Size: s.Size, Kind: "numbered"})
	x.mu.Lock()
	defer x.mu.Unlock()
	longest := 500_000 // Max_Line_Size is twice that
	if x.spec.TTY {
		longest = decode.ChunkSize // nothing tells the next record from the text of such a line that has no end
	}
	if len(x.part[std].text)+len(part) > longest {
		return
	}
	if x.put(std, part) {
		x.part[std].text += part
	}
}

// oddTimes writes lines whose times repeat, go back, lie ahead or are none.
func (x *written) oddTimes(s step) {
	if x.spec.TTY {
		return // where records are told by their times alone
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	std := x.std(s.Std)
	if x.part[std].text != "" {
		return
	}
	at := x.w.now()
	for range s.N {
		var ok bool
		text, seq := x.withAnEnd(std, x.text(s)), x.c.Records()
		x.long = x.long || len(text) >= decode.ChunkSize
		switch s.Kind {
		case "undated", "unparsable":
			stamp := "0001-01-01T00:00:00Z"
			if s.Kind == "unparsable" && x.spec.Files { // the Engine's own reader ends there
				stamp = "some day"
			}
			x.undated = true
			ok = x.c.Stamped(stamp, dockertest.Std(std), text)
		case "back":
			at -= int64(time.Minute)
			ok = x.c.WriteAt(time.Unix(0, at), dockertest.Std(std), []byte(text+"\n"))
		case "future":
			at += int64(time.Hour)
			ok = x.c.WriteAt(time.Unix(0, at), dockertest.Std(std), []byte(text+"\n"))
		default:
			ok = x.c.WriteAt(time.Unix(0, at), dockertest.Std(std), []byte(text+"\n"))
		}
		if !ok {
			return
		}
		x.part[std] = openLine{text: text, lo: at, hi: at, seq: seq}
		x.complete(std).undated = s.Kind == "undated" || s.Kind == "unparsable"
	}
	x.forget()
}

// end has a run end, and with it the unterminated lines.
func (x *written) end(how func()) { endAll([]*written{x}, how) }

// endAll has runs end. What they have left without an end is complete before
// that, because it may be delivered while they do.
func endAll(all []*written, how func()) {
	if len(all) > 0 {
		pen := all[0].w.pen
		pen <- struct{}{}
		defer func() { <-pen }()
	}
	var last []*wline
	for _, x := range all {
		x.mu.Lock()
		if state := x.c.State(); state == "running" || state == "paused" {
			for std := range x.part {
				o := &x.part[std]
				if o.text != "" && !o.stamped {
					o.lo, o.hi, o.seq = x.w.now(), math.MaxInt64, x.c.Records()
				}
				if o.text != "" {
					l := x.complete(uint8(std))
					l.unended = true
					last = append(last, l)
				}
				*o = openLine{}
			}
		}
		x.mu.Unlock()
	}
	how()
	for _, x := range all {
		x.mu.Lock()
		for _, l := range last {
			if l.hi == math.MaxInt64 && slices.Contains(x.lines[l.std], l) {
				l.hi = x.w.now()
			}
		}
		x.forget()
		if x.c.State() == "removed" && !x.gone {
			x.removed()
		}
		x.mu.Unlock()
	}
}

// shortLife is up to when a container may be missed of which no event has told.
const shortLife = 130 * time.Second

// removed notes that the container and its log are gone. mu is held.
func (x *written) removed() {
	n := len(x.unwanted)
	x.gone, x.goneAt = true, time.Now()
	x.goneUnseen = x.w.blind() || n > 0 && x.unwanted[n-1].to.IsZero() || x.w.unheard && time.Since(x.born) < shortLife
}

// forget notes which lines were rotated away. mu is held.
func (x *written) forget() {
	base := x.c.Forgotten()
	for std := range x.lines {
		for i := &x.kept[std]; *i < len(x.lines[std]) && x.lines[std][*i].seq < base; *i++ {
			x.lines[std][*i].forgot = time.Now()
		}
	}
}

// exception is what the first line of a stack trace ends in, or has before a colon.
const exception = "Exception: "

func makeLine(s step, n int) string {
	head := strconv.Itoa(n) + " "
	switch s.Kind {
	case "empty":
		return ""
	case "trace":
		if head += "at java.lang." + exception; n%6 > 0 {
			head = "\tat frame " + strconv.Itoa(n) + " "
		}
	case "same":
		head = "same "
	case "json":
		return fmt.Sprintf(`{"n":%d,"log":"\"\u0000<>&","stream":"stdout","time":"2006-01-02T15:04:05.000000000Z"}`, n)
	case "date":
		return head + time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z") + " said"
	case "utf8":
		return head + strings.Repeat("日本é\x01\t\"", s.Size/12)
	case "binary":
		return head + strings.Repeat("\xff\xfe\x00\xe6\x97", s.Size/5)
	}
	if s.Size <= len(head) {
		return head
	}
	return head + strings.Repeat("x", s.Size-len(head))
}
