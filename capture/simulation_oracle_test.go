package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
)

func hashText(s string) uint64 { return xxhash.Sum64String(s) }

// came takes note of a record that is in Fluent Bit's chunks for good, and
// returns the lines that it is: of a stack trace, several.
func (w *world) came(a *simAgent, r got) (all []*wline) {
	var x *written
	for _, y := range w.containers() {
		if y.c.ID == r.Fields["container_id"] {
			x = y
		}
	}
	if x == nil {
		w.find("a record of no container: %v", r.Fields)
		return nil
	}
	std, text, flagged := uint8(decode.Stdout), r.Fields["log"], r.Fields["partial"] != ""
	if r.Fields["stream"] == "stderr" {
		std = decode.Stderr
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	ts := int64(r.Sec)*int64(time.Second) + int64(r.Nanos)
	first, rest, joined := strings.Cut(text, "\n")
	if !joined {
		if l := w.lineCame(a, x, std, text, ts, flagged); l != nil {
			all = append(all, l)
		}
		return all
	}
	if !w.p.Multiline || flagged || !strings.Contains(first, exception) {
		w.find("container %s, std %d: lines were joined that are no stack trace: %s", x.c.Name(), std, brief(text))
	}
	l := w.lineCame(a, x, std, first, ts, false)
	for _, text := range strings.Split(rest, "\n") {
		if l == nil {
			return all
		}
		all = append(all, l)
		next := x.behind(l, text)
		switch {
		case next == nil:
			w.find("container %s, std %d: joined with line %d, which nothing like that follows: %s", x.c.Name(), std, l.i, brief(text))
			return all
		case next.i > l.i+1 && !x.breaks():
			w.find("container %s, std %d: line %d was joined with line %d", x.c.Name(), std, l.i, next.i)
		}
		w.stats.joined++
		l = w.lineCame(a, x, std, text, next.lo, false)
	}
	if l != nil {
		all = append(all, l)
	}
	return all
}

// behind is the first line of a text behind another of its std stream. mu is held.
func (x *written) behind(l *wline, text string) *wline {
	for _, next := range x.lines[l.std][l.i+1:] {
		if next.text == text {
			return next
		}
	}
	return nil
}

// lineCame takes note of a line that came. x.mu is held.
func (w *world) lineCame(a *simAgent, x *written, std uint8, text string, ts int64, flagged bool) *wline {
	l := x.find(std, text, ts, a.no)
	if bare, ok := strings.CutSuffix(text, "\r"); ok && l == nil && x.spec.TTY && !x.handled.IsZero() {
		if l = x.find(std, bare, ts, a.no); l != nil && l.came == 0 {
			l.file-- // the newline was in what somebody took away
		}
	}
	where := fmt.Sprintf("container %s, std %d: ", x.c.Name(), std)
	switch {
	case l == nil && x.glued(std, text, ts, flagged):
		return nil
	case flagged && !x.breaks():
		w.find("%sflagged as incomplete where nothing is lost: %s", where, brief(text))
		if l == nil {
			return nil
		}
	case l == nil && flagged:
		if o := &x.part[std]; text != "" && isPart(o.text, text) {
			o.fragment = true
			return nil
		}
		if x.spec.TTY {
			text = strings.TrimSuffix(text, "\r") // the terminal's, whose newline is in the next record
		}
		if l = x.whole(std, text, ts, func(*wline) bool { return true }); l == nil {
			w.find("%sflagged, and no part of any line: %s of %s", where, brief(text), time.Unix(0, ts).UTC())
			return nil
		}
		l.fragment = true
		return l
	case l == nil && x.beginning(std, text, ts) != nil:
		l = x.beginning(std, text, ts)
		l.fragment = true
		return l
	case l == nil && x.cutShort(std, text, ts) != nil:
		l = x.cutShort(std, text, ts)
		l.fragment = true
		return l
	case l == nil:
		w.find("%sno line that was written: %s of %s%s", where, brief(text), time.Unix(0, ts).UTC(), x.near(std, text, ts))
		return nil
	}
	// What is in another file may be taken for new within a second. And where the
	// clock stepped back, a hole in what Engine 20.10 sends is not told by times.
	handled := l.at.Before(x.handled) || w.stepped.Load() && x.hidden(l) || w.stepped.Load() && x.damagedFrom >= 0 && w.p.API == "1.41"
	// A stack trace that was begun may come behind a late line of its middle.
	if l.i < x.last[std] && !handled && !x.hidden(l) && !w.p.Multiline {
		a.lates++
	}
	x.last[std] = max(x.last[std], l.i)
	if l.came > 0 {
		w.stats.doubled++
		if why := w.mayDouble(a, x, l); why != "" && !handled {
			w.find("%sline %d came again%s: %s", where, l.i, why, brief(text))
		}
	}
	l.came++
	l.agent, l.acked = a.no, time.Time{}
	w.stats.came++
	return l
}

// find looks for the line that a record is: one that has not come yet, else one
// that has not come of this agent. mu is held.
func (x *written) find(std uint8, text string, ts int64, agent int) (found *wline) {
	for _, l := range x.byText[hashText(text)] {
		if l.std != std || l.text != text || !l.undated && (ts < l.lo || ts > l.hi) {
			continue
		}
		if l.came == 0 {
			return l
		}
		if found == nil || (found.agent == agent && l.agent != agent) {
			found = l
		}
	}
	return found
}

// whole looks for a line that a record is a part of, one that may be. mu is held.
func (x *written) whole(std uint8, text string, ts int64, may func(*wline) bool) *wline {
	ownTimes := x.spec.Driver == "journald" && x.w.p.API == "1.41" // of pieces
	for _, l := range x.lines[std] {
		if (l.undated || ts >= l.lo && (ts <= l.hi || ownTimes)) && isPart(l.text, text) && may(l) {
			return l
		}
	}
	return nil
}

// isPart says whether part is one of whole, or whole without something in its
// middle.
func isPart(whole, part string) bool {
	return strings.Contains(whole, part) || withoutMiddle(whole, part) || isOfPieces(whole, part)
}

// isOfPieces says whether part is some of the records of whole, in their order.
func isOfPieces(whole, part string) bool {
	for ; part != ""; whole = whole[min(decode.ChunkSize, len(whole)):] {
		if whole == "" {
			return false
		}
		part = strings.TrimPrefix(part, whole[:min(decode.ChunkSize, len(whole))])
	}
	return true
}

// withoutMiddle says whether part is whole without something in its middle.
func withoutMiddle(whole, part string) bool {
	n := 0
	for n < min(len(whole), len(part)) && whole[n] == part[n] {
		n++
	}
	return len(part) < len(whole) && strings.HasSuffix(whole, part[n:])
}

// beginning looks for the line whose end came behind a gap: nothing tells that it
// is no whole line, unless the line before was one of several records, too, this
// is not, and the log is polled. Nor does anything where it was begun while its
// container was not wanted: that is looked for among the last records alone. mu is
// held.
func (x *written) beginning(std uint8, text string, ts int64) *wline {
	return x.whole(std, text, ts, func(l *wline) bool {
		switch i := x.last[std]; {
		case !x.handled.IsZero(), x.hidden(l):
			return true
		case l.long && x.optionalAt(l.begun) && strings.HasSuffix(l.text, text):
			return true
		case l.seq >= x.c.Forgotten() && x.skips == 0 && !x.damaged(l):
			return false
		case !strings.HasSuffix(l.text, text):
			return l.long && (withoutMiddle(l.text, text) || isOfPieces(l.text, text)) // nothing shows that
		default:
			return i < 0 || !x.lines[std][i].long || len(text) >= decode.ChunkSize || x.followed()
		}
	})
}

// cutShort looks for the line that a container left without an end, of which a
// follow was sent the first records: it came to its end as if that were all, and then
// the container was gone. mu is held.
func (x *written) cutShort(std uint8, text string, ts int64) *wline {
	return x.whole(std, text, ts, func(l *wline) bool {
		return x.gone && x.ended && l.unended && len(text)%decode.ChunkSize == 0 && strings.HasPrefix(l.text, text)
	})
}

// glued says whether a record is two lines, because the container left no end to
// the first: what capture/README.md#limits says of a terminal through the API and of journald. mu is
// held.
func (x *written) glued(std uint8, text string, ts int64, flagged bool) bool {
	journald := x.spec.Driver == "journald"
	if x.byFile() || !x.spec.TTY && !journald {
		return false
	}
	for _, l := range x.lines[std] {
		rest, ok := strings.CutPrefix(text, l.text)
		if !ok || !l.unended || ts < l.lo || ts > l.hi || !l.long && !x.w.stepped.Load() {
			continue
		}
		var n *wline
		if next, behind, ok := decode.CutTime([]byte(rest)); x.spec.TTY && ok {
			stamp := rest[:len(rest)-len(behind)] // stands before each of its pieces
			n = x.find(std, strings.ReplaceAll(string(behind), stamp, ""), next, 0)
		} else if journald && l.long {
			n = x.ending(std, rest, flagged)
		}
		if n != nil {
			l.fragment, n.fragment = true, true
			return true
		}
	}
	return false
}

// ending looks for a line that has not come and ends in a text, or holds that where
// it is flagged. mu is held.
func (x *written) ending(std uint8, text string, flagged bool) *wline {
	for _, l := range x.lines[std] {
		if !l.isThere() && (strings.HasSuffix(l.text, text) || flagged && strings.Contains(l.text, text)) {
			return l
		}
	}
	return nil
}

func (l *wline) isThere() bool { return l.came > 0 || l.fragment }

// near says what was written like it. mu is held.
func (x *written) near(std uint8, text string, ts int64) string {
	for _, l := range x.lines[std] {
		switch {
		case ts >= l.lo && ts <= l.hi:
			return fmt.Sprintf(", at that time line %d was: %s", l.i, brief(l.text))
		case l.text == text && text != "":
			return fmt.Sprintf(", it is line %d of %s to %s", l.i, time.Unix(0, l.lo).UTC(), time.Unix(0, l.hi).UTC())
		}
	}
	return ""
}

// killSlack is how long before a kill what was acknowledged may be forgotten, on
// a machine whose disk needs no time.
const killSlack = checkpoint.JournalPace

// mayDouble says why a line that has come must not come again, "" if it may: it
// was not acknowledged, or it was a moment before a kill.
func (w *world) mayDouble(a *simAgent, x *written, l *wline) string {
	if l.agent == a.no {
		return " of the same agent"
	}
	end := w.ended[l.agent-1]
	switch {
	case l.acked.IsZero():
	case w.lostBase(a, x), x.movedUnseen():
	case !end.killed:
		return " although it was acknowledged"
	case end.at.Sub(l.acked) > killSlack:
		return fmt.Sprintf(", acknowledged %s before the kill", end.at.Sub(l.acked))
	}
	return ""
}

// lostBase says that an agent may have begun before a line of several records, or a
// stack trace, that was incomplete at the end of the agent before, and was rotated away
// or damaged since: what followed its beginning comes again. mu is held.
func (w *world) lostBase(a *simAgent, x *written) bool {
	if !x.long && !w.p.Multiline {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.said, func(s said) bool {
		return strings.HasPrefix(x.c.ID, s.id) && !s.at.Before(a.since) && (strings.Contains(s.text, "no longer keeps") || strings.Contains(s.text, "is damaged"))
	})
}

// breaks says whether lines may be broken: parts of them are missing. mu is held.
func (x *written) breaks() bool {
	return x.gone || x.spec.MaxSize > 0 || x.skips > 0 || x.torn || x.odd || x.damagedFrom >= 0 || !x.handled.IsZero()
}

// followed says whether the log may be followed: of one that is replaced within
// seconds that is not compared often.
func (x *written) followed() bool { return !x.byFile() && x.w.p.Reader != readerPoll }

// byFile says whether the log is read from its files.
func (x *written) byFile() bool { return x.spec.Files }

// optional says that a line may come or not: its container was not wanted then. All
// records of a long line have the time of the first.
func (x *written) optional(l *wline) bool {
	return x.optionalAt(l.at) || l.long && x.optionalAt(l.begun)
}

// optionalAt is optional for what was written at a time.
func (x *written) optionalAt(at time.Time) bool {
	for _, p := range x.unwanted {
		if (x.w.unheard && p.from.Sub(x.born) < shortLife || x.unknown) && !at.After(p.from) {
			return true // it was not known before
		}
		if !at.Before(p.from) && (p.to.IsZero() || !at.After(p.to) || x.w.stepped.Load()) {
			return true
		}
	}
	return false
}

func brief(s string) string {
	if len(s) <= 60 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q...%q (%d bytes)", s[:30], s[len(s)-15:], len(s))
}
