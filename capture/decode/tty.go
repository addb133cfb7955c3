package decode

import (
	"bytes"
	"fmt"
	"time"
)

// TTY cuts records out of the log of a terminal. That has no frames, but
// "timestamp text\r\n" one after the other. Two kinds of records have no
// newline, so that the next timestamp follows in the middle of the text: the
// partials of a long line, each with the timestamp of the line, and what a
// container left unterminated when it ended.
//
// The second kind cannot be told for certain from a text that holds such a
// timestamp itself. A record that was cut before is cut the same again, or its
// position would not be found; else a timestamp in the text has to be possible
// as that of the next record. In doubt it is text, so that no byte is lost.
type TTY struct {
	known Known // may be nil
	// From and to bound the timestamps of records that are followed by others of
	// the same run, since it was seen to run at to: nothing was left
	// unterminated among them.
	From, To int64
	Now      func() int64 // by the Engine's clock
	rough    bool         // what has no timestamp is a line all the same
	// Loose says that the last partial of a line has no newline, although the
	// line had: the local driver of Engine 20.10 loses it. The CR before is there, unless
	// that partial was nothing but the newline.
	Loose bool
	// Exact says that the partials have ChunkSize bytes, and times that need not be that
	// of their line: journald stores what was written as it is, each piece with a time
	// of its own before Engine 23.
	Exact bool

	lineEnd, stamps int  // bytes of the text at hand that were searched for them
	begun           bool // a record was cut
	partial         bool
	ended           bool  // the record before was known; its newline may be still to come
	rest            bool  // b goes on with the text of a record that was too long
	ts              int64 // of the record before
}

// Known are records that were cut before.
type Known interface {
	// End is where the known record ends that line begins with. It is -1 if it is
	// none of them; goesOn says that its line may go on with that of the one before,
	// so that it may be empty.
	End(line []byte, ts int64, goesOn bool) int
}

// ttyError is how the Engine's own errors begin in such a log.
const ttyError = "Error grabbing logs: "

// cut cuts the first record off b and returns how many bytes it took: 0 when
// b does not hold a whole record yet. At the end of the log (eof) what is
// left is the last record.
func (t *TTY) cut(b []byte, eof bool) (e Entry, n int, err error) {
	if len(b) > 0 && t.ended {
		t.ended = false
		if b[0] == '\n' {
			if e, n, err = t.cut(b[1:], eof); n > 0 {
				return e, n + 1, err
			}
			t.ended = true
			return e, 0, err
		}
	}
	if len(b) == 0 || (!eof && !t.rest && !stampComplete(b)) {
		return Entry{}, 0, nil
	}
	ts, text := t.ts, b
	if !t.rest {
		var stamped bool
		ts, text, stamped = CutTime(b)
		switch {
		case stamped:
		case bytes.HasPrefix(b, []byte(ttyError)):
			return Entry{}, len(b), SystemError(bytes.TrimSpace(b))
		case !t.rough:
			return Entry{}, 0, fmt.Errorf("%w: no timestamp at the beginning of %.60q", ErrBadFrame, b)
		}
	}
	head := len(b) - len(text)
	end := t.end(b[:head], text, ts, eof)
	switch {
	case end >= 0 && end <= MaxFrame:
		e = Entry{Std: Stdout, TS: ts, Text: text[:end], Newline: end < len(text) && text[end] == '\n'}
	case len(text) > MaxFrame:
		e = Entry{Std: Stdout, TS: ts, Text: text[:MaxFrame]}
	default:
		return Entry{}, 0, nil
	}
	n = head + len(e.Text)
	if e.Newline {
		n++
	}
	ended := t.ended && !e.Newline
	*t = TTY{known: t.known, From: t.From, To: t.To, Now: t.Now, rough: t.rough, Loose: t.Loose, Exact: t.Exact, ts: ts, ended: ended,
		begun: true, partial: !e.Newline && len(e.Text) >= ChunkSize, rest: !e.Newline && len(e.Text) == MaxFrame}
	return e, n, nil
}

// isStamp says whether a text begins with a timestamp.
func isStamp(b []byte) bool {
	_, _, ok := CutTime(b)
	return ok
}

// stampComplete says whether all of the timestamp that b begins with is there,
// if it begins with one.
func stampComplete(b []byte) bool {
	b = b[:min(len(b), maxTimeSize+1)]
	return len(b) > maxTimeSize || bytes.ContainsAny(b, " \n")
}

// end is how long the text of the first record is, -1 if that cannot be said
// yet. prefix is its timestamp and a space.
func (t *TTY) end(prefix, text []byte, ts int64, eof bool) int {
	nl := bytes.IndexByte(text[t.lineEnd:], '\n')
	searched := t.lineEnd
	line, end := text, -1
	switch {
	case nl >= 0:
		line, end = text[:searched+nl], searched+nl
	case eof:
		end = len(text)
	}
	t.lineEnd = len(line)
	// A further partial of the same line begins with the same timestamp.
	if from := max(ChunkSize, searched-len(prefix)); len(prefix) > 0 && from < len(line) {
		if i := bytes.Index(line[from:], prefix); i >= 0 {
			line, end = line[:from+i], from+i
		}
	}
	if t.Exact && len(prefix) > 0 && len(line) > ChunkSize {
		switch next := line[ChunkSize:]; {
		case isStamp(next):
			line, end = line[:ChunkSize], ChunkSize
		case end < 0 && !stampComplete(next):
			return -1
		}
	}
	if end < 0 && len(line) < ChunkSize {
		switch {
		case t.knownEnd(line, ts) == len(line):
			t.ended = true
			return len(line)
		case !t.Loose || !t.goesOn(ts) || !bytes.HasSuffix(line, []byte("\r")):
			return -1 // what follows may help to tell
		}
		end = len(line)
	}
	if i := t.glued(line, text[len(line):], ts); i >= 0 {
		return i
	}
	return end
}

// ClockSlack is by how much the Engine's clock may differ. What is known of it
// is a little old.
const ClockSlack = int64(5 * time.Second)

// glued is where the next record begins in line although there is no newline
// before it, or where line is known to end; -1 if neither can be told. rest is
// what follows the line.
func (t *TTY) glued(line, rest []byte, ts int64) int {
	latest := int64(0) // that the next record may be from, once it was asked for
	for at := max(0, t.stamps-TimeSize); ; {
		i := bytes.Index(line[at:], []byte("Z "))
		if i < 0 {
			t.stamps = len(line)
			return -1
		}
		i += at + 1 - TimeSize
		at = i + TimeSize
		loose := t.Loose && (i > 0 && line[i-1] == '\r' || i == 0 && t.goesOn(ts))
		alone := t.Loose && i == 0 && !t.begun // of a tail, the first record may be the empty end of a line
		if i < 0 || i == 0 && !loose && !alone {
			continue
		}
		next, ok := parseTime(line[i : i+TimeSize])
		if !ok {
			continue
		}
		if loose { // whatever its time: the clock may have been set
			return i
		}
		if latest == 0 {
			if end := t.knownEnd(line, ts); end >= 0 {
				return end
			}
			latest = t.latest(rest)
		}
		goesOn := t.goesOn(ts) // then its text is later than its timestamp
		if ts != Undated && !goesOn && next >= ts && next <= latest && (alone || ts < t.From || ts >= t.To) {
			return i
		}
	}
}

// goesOn says whether a record with that timestamp goes on with the line of the
// one before.
func (t *TTY) goesOn(ts int64) bool { return t.partial && (ts == t.ts || t.Exact) }

// latest bounds the timestamp of a record before rest: it is not later than the
// next one, nor than the present.
func (t *TTY) latest(rest []byte) int64 {
	now := t.Now() + ClockSlack
	if len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	if next, _, _ := CutTime(rest); next != Undated {
		return min(now, next)
	}
	return now
}

// knownEnd is where the record at the beginning of line ends if it was cut
// before, -1 if it is not among those that are known.
func (t *TTY) knownEnd(line []byte, ts int64) int {
	if t.known == nil {
		return -1
	}
	return t.known.End(line, ts, t.goesOn(ts))
}
