package capture

import (
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

func hashText(s string) uint64 { return xxhash.Sum64String(s) }

// came takes note of a record that is in Fluent Bit's chunks for good, and
// returns the line that it is.
func (w *world) came(a *simAgent, r got) *wline {
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
	l := x.find(std, text, ts, a.no)
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
	case l == nil:
		w.find("%sno line that was written: %s of %s%s", where, brief(text), time.Unix(0, ts).UTC(), x.near(std, text, ts))
		return nil
	}
	// What is in another file may be taken for new within a second. And where the
	// clock stepped back, a hole in what Engine 20.10 sends is not told by times.
	handled := l.at.Before(x.handled) || w.stepped.Load() && x.damagedFrom >= 0 && w.p.API == "1.41"
	if l.i < x.last[std] && !handled {
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
	for _, l := range x.lines[std] {
		if (l.undated || ts >= l.lo && ts <= l.hi) && isPart(l.text, text) && may(l) {
			return l
		}
	}
	return nil
}

// isPart says whether part is one of whole, or whole without something in its
// middle.
func isPart(whole, part string) bool {
	return strings.Contains(whole, part) || withoutMiddle(whole, part)
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
		case !x.handled.IsZero():
			return true
		case l.long && x.optionalAt(l.begun) && strings.HasSuffix(l.text, text):
			return true
		case l.seq >= x.c.Forgotten() && x.skips == 0 && !x.damaged(l):
			return false
		case !strings.HasSuffix(l.text, text):
			return l.long && withoutMiddle(l.text, text) // nothing shows that
		default:
			return i < 0 || !x.lines[std][i].long || len(text) >= decode.ChunkSize || x.followed()
		}
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
			n = x.find(std, string(behind), next, 0)
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
const killSlack = journalPace

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
	case x.long && x.skips > 0: // of what was delivered behind an incomplete line, some had been left out
	case !end.killed:
		return " although it was acknowledged"
	case end.at.Sub(l.acked) > killSlack:
		return fmt.Sprintf(", acknowledged %s before the kill", end.at.Sub(l.acked))
	}
	return ""
}

// lostBase says that an agent may have begun before a line of several records
// that was incomplete at the end of the agent before, and was rotated away since:
// what followed its beginning comes again. mu is held.
func (w *world) lostBase(a *simAgent, x *written) bool {
	if !x.long {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.said, func(s said) bool {
		return strings.HasPrefix(x.c.ID, s.id) && !s.at.Before(a.since) && strings.Contains(s.text, "no longer keeps")
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

// optional says that a line may come or not: its container was not wanted then.
func (x *written) optional(l *wline) bool { return x.optionalAt(l.at) }

// optionalAt is optional for what was written at a time.
func (x *written) optionalAt(at time.Time) bool {
	for _, p := range x.unwanted {
		if x.w.unheard && p.from.Sub(x.born) < shortLife && !at.After(p.from) {
			return true // it was not known before
		}
		if !at.Before(p.from) && (p.to.IsZero() || !at.After(p.to) || x.w.stepped.Load()) {
			return true
		}
	}
	return false
}

// missing is how many lines have not come that the Engine keeps.
func (x *written) missing() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if k := len(x.unwanted); k > 0 && x.unwanted[k-1].to.IsZero() {
		return 0
	}
	for std := range x.lines {
		for _, l := range x.lines[std][x.first[std]:] {
			switch {
			case x.due(l):
				n++
			case n == 0:
				x.first[std]++
			}
		}
	}
	return n
}

// due says whether a line is still to come, whatever happens.
func (x *written) due(l *wline) bool {
	return l.came == 0 && !l.fragment && l.forgot.IsZero() && !x.gone && x.handled.IsZero() && x.skips == 0 && !x.damaged(l) && !x.optional(l)
}

func (x *written) damaged(l *wline) bool {
	return x.damagedFrom >= 0 && l.seq >= x.damagedFrom && l.seq < x.damagedTo
}

// judge says of each line that did not come whether it may be missing.
func (w *world) judge() {
	for _, x := range w.all {
		x.mu.Lock()
		x.forget()
		for std := range x.lines {
			for _, l := range x.lines[std] {
				if l.came > 0 || l.fragment || x.optional(l) {
					continue
				}
				w.stats.lost++
				may, silent := x.mayMiss(l)
				switch {
				case !may:
					w.find("container %s, std %d: line %d of %d did not come, and the Engine keeps it: %s of %s, written at [%s]",
						x.c.Name(), std, l.i, len(x.lines[std]), brief(l.text), time.Unix(0, l.lo).UTC(), l.at.Sub(w.began))
				case !silent && !w.wasSaid(x, l):
					w.find("container %s, std %d: line %d of %d is lost, and nothing was said of it: %s of %s, written at [%s]",
						x.c.Name(), std, l.i, len(x.lines[std]), brief(l.text), time.Unix(0, l.lo).UTC(), l.at.Sub(w.began))
				}
			}
		}
		x.mu.Unlock()
	}
}

// compared is how many records back a follow is compared with the log.
const compared = 2048

// mayMiss says whether a line may be missing, and whether without a word. mu is
// held.
func (x *written) mayMiss(l *wline) (may, silent bool) {
	if x.damaged(l) {
		return true, true // what is behind it is not
	}
	if x.movedUnseen() {
		return true, true // what the Engine writes on in is not seen
	}
	if !x.handled.IsZero() && x.datedBack(l) {
		return true, true // in a file that was handled it is taken for what was read
	}
	if !x.handled.IsZero() && !l.at.After(x.handled) {
		return true, x.isFirst(l, true, x.handled) || x.leftWithin(l.at, x.handled.Sub(l.at)) // a file of which nothing was read looks as it did
	}
	followed := x.followed()
	turn := time.Duration(x.w.p.Rotate)*time.Millisecond + 15*time.Second
	far := followed && x.recordsWithin(l, turn) > compared
	if !l.forgot.IsZero() {
		return true, far || x.leftWithin(l.at, time.Second) || x.isFirst(l, false, l.forgot) || x.emptied(l) || followed && l.forgot.Sub(l.at) < turn || x.skips > 0 && x.w.endsWithin(l.at, turn) || x.gone && x.unseen()
	}
	if x.gone {
		return true, x.unseen() || x.w.unheard && x.goneAt.Sub(l.at) < shortLife
	}
	if x.datedBack(l) && x.w.wasSaid(x, l) {
		return true, true // behind a gap it is found by its time
	}
	return x.skips > 0 && (far || x.w.endsWithin(l.at, turn)), true
}

// endsWithin says whether an agent ended within a time.
func (w *world) endsWithin(from time.Time, d time.Duration) bool {
	return slices.ContainsFunc(w.ended, func(e endedAgent) bool { return !e.at.Before(from) && e.at.Sub(from) <= d })
}

// leftWithin says whether the container was not wanted any more within a time.
func (x *written) leftWithin(from time.Time, d time.Duration) bool {
	return slices.ContainsFunc(x.unwanted, func(p period) bool { return !p.from.Before(from) && p.from.Sub(from) <= d })
}

// datedBack says whether a line is older, by its time, than one that came of before
// it. mu is held.
func (x *written) datedBack(l *wline) bool {
	for std := range x.lines {
		for _, o := range x.lines[std] {
			if o.seq < l.seq && o.isThere() && o.lo > l.hi+position.Inversion {
				return true
			}
		}
	}
	return false
}

// unseen says whether nobody may have seen that the container was removed: the
// agent ended then, or by a clock that was set it is one of long ago.
func (x *written) unseen() bool {
	return x.goneUnseen || x.w.stepped.Load() || slices.ContainsFunc(x.w.ended, func(e endedAgent) bool {
		return !e.at.Before(x.goneAt) && (e.killed || e.at.Sub(x.goneAt) < 30*time.Second)
	})
}

// isFirst says whether nothing of the log, or of the file of it, came before a
// line, or nothing that is known of at a time: then nothing tells that it was
// there. mu is held.
func (x *written) isFirst(l *wline, ofFile bool, at time.Time) bool {
	for std := range x.lines {
		for _, o := range x.lines[std] {
			ended := o.came > 0 || !o.at.After(l.at) // else what came of it may be what stands behind
			if o.seq < l.seq && o.isThere() && ended && (!ofFile || o.file == l.file) && (!o.acked.IsZero() || o.agent > 0 && x.w.ended[o.agent-1].at.After(at)) {
				return false
			}
		}
	}
	return true
}

// emptied says whether the log held nothing when a gap was said before a line, and
// nothing came in between: then nothing tells what it began with. mu is held.
func (x *written) emptied(l *wline) bool {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	return slices.ContainsFunc(x.w.said, func(s said) bool {
		if !strings.HasPrefix(x.c.ID, s.id) || s.at.After(l.at) {
			return false
		}
		for std := range x.lines {
			for _, o := range x.lines[std] {
				kept := o.at.Before(s.at) && (o.forgot.IsZero() || o.forgot.After(s.at))
				came := o.came > 0 || o.fragment && !o.begun.Before(s.at) // else it is its beginning that came
				if o.seq < l.seq && (kept || !o.at.Before(s.at) && came) {
					return false
				}
			}
		}
		return true
	})
}

// movedUnseen says that a log's file was moved away, or another put in its place,
// and that the agent came after that, or hardly before, or could not open it then.
func (x *written) movedUnseen() bool {
	return x.movedBlind || !x.moved.IsZero() && x.w.started.After(x.moved.Add(-15*time.Second))
}

// recordsWithin is how many records were stored behind a line in so much time.
func (x *written) recordsWithin(l *wline, d time.Duration) (n int) {
	for std := range x.lines {
		for _, o := range x.lines[std] {
			if o.at.Sub(l.at) <= d {
				n = max(n, o.seq-l.seq)
			}
		}
	}
	return n
}

// wasSaid says whether a loss was said of the container that may be that of the
// line: one that was said behind it, or within a minute of one that is said no more
// often.
func (w *world) wasSaid(x *written, l *wline) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.said {
		from := l.at
		if s.summed {
			from = l.at.Add(-sayGapAgain)
		}
		if strings.HasPrefix(x.c.ID, s.id) && !s.at.Before(from) {
			return true
		}
	}
	return false
}

// tally compares the metrics of an agent that has ended with what was counted.
func (w *world) tally(a *simAgent) {
	var left totalOf
	for b := a.col.Next(); b != nil; b = a.col.Next() {
		rs, err := decodeRecords(b.Tag, b.Buf)
		must(w.t, err)
		left.add(rs)
		a.col.Appended()
	}
	m := a.col.metrics
	equal := func(what string, have, want float64) {
		if have != want {
			w.find("metrics: %v %s, there were %v", have, what, want)
		}
	}
	equal("lines", valueOf(m.lines), a.took.records-a.gaveBack.records+left.records)
	equal("bytes", valueOf(m.bytes), a.took.bytes-a.gaveBack.bytes+left.bytes)
	equal("truncated lines", valueOf(m.truncated), a.took.partial-a.gaveBack.partial+left.partial)
	appended, acked, refused := a.col.out.Totals()
	equal("records appended", float64(appended), a.took.records+left.records)
	equal("records refused", float64(refused), a.gaveBack.records)
	equal("records outstanding", float64(appended-acked-refused), float64(recordsIn(a.ring)+recordsIn(a.chunks))+left.records)

	gaps, missed, unpolled, summed := 0.0, 0.0, 0.0, false
	w.mu.Lock()
	for _, s := range w.said {
		switch {
		case s.agent != a.no:
		case strings.Contains(s.text, "before its log could be opened"):
			missed++
		case strings.HasPrefix(s.text, "the container was removed while"):
			unpolled++
		default:
			gaps += float64(s.times)
			summed = summed || s.summed
		}
	}
	w.mu.Unlock()
	if have := valueOf(m.gaps); !summed || have < gaps {
		equal("gaps", have, gaps)
	}
	equal("missed containers", valueOf(m.missed), missed)
	equal("containers removed while they were polled", valueOf(m.unpolled), unpolled)
	w.stats.late += a.lates
	if late := valueOf(m.late); float64(a.lates) > late {
		w.find("%d lines came behind younger ones, %v are counted as late", a.lates, late)
	}
}

// leftBehind says what an agent that was closed holds still.
func (w *world) leftBehind(a *simAgent) {
	synctest.Wait()
	if n := a.col.files.Load(); n != 0 {
		w.find("%d log files are open after the end", n)
	}
	if n, m, k := a.col.api.Connections(), w.e.OpenConns(), w.e.Followers(); n+m+k != 0 {
		w.find("after the end %d connections are open, %d at the Engine, %d log requests", n, m, k)
	}
}

func brief(s string) string {
	if len(s) <= 60 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q...%q (%d bytes)", s[:30], s[len(s)-15:], len(s))
}
