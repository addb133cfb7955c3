package position

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/testkit"
)

// place is a log, and what is remembered of it, as a table has them.
type place struct {
	t      *testing.T
	log    []string // records, as they are written in the table
	target Position // that is looked for
	trail  Trail
	now    func() int64 // of the Engine; nil: records from the future are not left out
}

// TestTables goes through the tables of testdata.
func TestTables(t *testing.T) {
	for name, least := range map[string]int{"resync": 45, "firstlook": 28, "trail": 30} {
		t.Run(name, func(t *testing.T) {
			file := "testdata/" + name + ".txt"
			testkit.Cases(t, file, least, func(t *testing.T, first int, lines []string) { (&place{t: t}).play(file, first, lines) })
		})
	}
}

// play goes through one case.
func (p *place) play(file string, first int, lines []string) {
	have, asked := "", ""
	for i, line := range lines {
		verb, rest, _ := strings.Cut(line, " ")
		words := strings.Fields(rest)
		switch verb {
		case "#":
		case "log":
			p.log = expand(words)
		case "position":
			p.position(words)
		case "came":
			for _, word := range expand(words) {
				m := MarkOf(p.entry(word))
				p.trail.Push(&m)
			}
		case "now":
			now := p.time(rest)
			p.now = func() int64 { return now }
		case "read":
			have = p.read(words)
		case "look":
			have = p.look(words)
		case "sent":
			have = [...]string{NewRecord: "new", DoubledRecord: "doubled", PieceOfLine: "a piece of its line", DoubtfulRecord: "doubtful"}[p.trail.See(p.entry(rest))]
		case "begins":
			have = "nowhere"
			m := MarkOf(p.entry(rest))
			if i := p.trail.Place(m.Single()); i >= 0 {
				have = fmt.Sprint("record ", i+1)
			}
		case "ends":
			have = map[bool]string{true: "more", false: "no more"}[p.target.Before(p.entry(rest))]
		case "confirm":
			p.trail.Verified = p.number(rest)
		case "->":
			if have != rest {
				p.t.Errorf("%s:%d: %s: %q, not %q", file, first+i, asked, have, rest)
			}
		default:
			p.t.Fatalf("%s:%d: what is %q?", file, first+i, line)
		}
		asked = line
	}
}

// position follows a line of that name.
func (p *place) position(words []string) {
	p.t.Helper()
	p.target = Position{}
	switch words[0] {
	case "beginning":
	case "from":
		p.target.Kind, p.target.TS = FromTime, p.time(words[1])
		if words = words[2:]; len(words) > 0 && words[0] == "lost" {
			p.target.Lost = true
			for _, word := range expand(words[2:]) {
				p.target.Anchor.Push(MarkOf(p.entry(word)))
			}
		}
	case "tail":
		p.target.Kind, p.target.Tail = FromTail, p.number(words[1])
	case "behind":
		if words[1] != "all" {
			p.target.Kind, words = FromAnchor, words[1:]
		} else {
			words = words[2:]
		}
		for _, word := range expand(words) {
			p.target.Advance(MarkOf(p.entry(word)))
		}
	default:
		p.t.Fatalf("position %v", words)
	}
	p.trail.Start(&p.target)
}

// read looks for the position, and says what is delivered.
func (p *place) read(words []string) string {
	p.t.Helper()
	r := NewResync(&p.target, Everything)
	from := 0
	for len(words) > 0 {
		switch words[0] {
		case "all":
		case "time":
			r.Limit, r.whole, r.byTime = ByTime, false, true
			for from < len(p.log) && p.entry(p.log[from]).TS <= p.target.Since()*second {
				from++
			}
		case "longest":
			r.Longest = true
		case "stepped":
			r.Stepped = true
		case "agree":
			r.Depth, words = uint8(p.number(words[1])), words[1:]
		default:
			r.Limit, r.whole = p.number(words[0]), false
			from = max(0, len(p.log)-r.Limit)
		}
		words = words[1:]
	}
	var delivered []string
	for _, word := range p.log[from:] {
		switch deliver, short := r.Feed(p.entry(word)); {
		case short && r.Estimate() > 0:
			return fmt.Sprint("too short, about ", r.Estimate(), " back")
		case short:
			return "too short"
		case deliver:
			delivered = append(delivered, word)
		}
	}
	switch {
	case !r.Found && r.Around():
		return "not found, where it should be"
	case !r.Found && r.Best > 0:
		return fmt.Sprintf("not found, %d of %d agree", r.Best, p.target.Anchor.N)
	case !r.Found:
		return "not found"
	case len(delivered) == 0:
		return "nothing"
	}
	return brief(delivered)
}

// look finds where the capture begins, and says what is delivered from there on.
func (p *place) look(words []string) string {
	p.t.Helper()
	limit := Everything
	if words[0] != "all" {
		limit = p.number(words[0])
	}
	l := NewFirstLook(&p.target, limit == Everything, p.now)
	if len(words) > 2 {
		l.SkipFirst(p.number(words[2]))
	}
	for _, word := range p.log[max(0, len(p.log)-limit):] {
		if l.Feed(p.entry(word)) {
			return "too short"
		}
		if l.Complete() {
			break
		}
	}
	l.AskedFor(limit)
	wanted := p.target
	p.target = l.End()
	if p.target.Kind == FromBeginning && len(p.log) > 0 {
		if m := MarkOf(p.entry(p.log[0])); !m.Same(&p.target.Next) {
			p.t.Error("the first record of the log is not noted, which may be rotated away before it is read")
		}
	}
	have := p.read([]string{"all"})
	for std, of := range []string{decode.Stdout: "stdout", decode.Stderr: "stderr"} {
		if ts := p.target.CutTS[std]; ts > 0 {
			have += fmt.Sprintf(", without the rest of the line of %s at %v", of, time.Duration(ts).Seconds())
		}
	}
	p.target = wanted
	return have
}

// entry is a record of the table: [err:]TEXT@TIME.
func (p *place) entry(word string) *decode.Entry {
	p.t.Helper()
	e := &decode.Entry{Std: decode.Stdout, Newline: true}
	word, isErr := strings.CutPrefix(word, "err:")
	if isErr {
		e.Std = decode.Stderr
	}
	text, at, ok := strings.Cut(word, "@")
	if !ok {
		p.t.Fatalf("no record: %q", word)
	}
	e.TS, e.Text = p.time(at), []byte(text)
	if strings.ToUpper(text) == text && text != "" {
		e.Newline = false
		e.Text = bytes.Repeat([]byte(text), decode.ChunkSize)
	}
	return e
}

// time is a number of seconds; ? is no time.
func (p *place) time(s string) int64 {
	p.t.Helper()
	if s == "?" {
		return decode.Undated
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return int64(f*10+.5) * int64(time.Second/10)
}

func (p *place) number(s string) int {
	p.t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// expand repeats what stands before an asterisk.
func expand(words []string) (all []string) {
	for _, word := range words {
		record, times, _ := strings.Cut(word, "*")
		n, err := strconv.Atoi(times)
		if err != nil {
			n = 1
		}
		for range n {
			all = append(all, record)
		}
	}
	return all
}

// brief undoes expand.
func brief(words []string) string {
	var all []string
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		if all = append(all, words[i]); n > 1 {
			all[len(all)-1] += fmt.Sprint("*", n)
		}
		i += n
	}
	return strings.Join(all, " ")
}
