package capture_test

import (
	"math"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/stream"
)

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
	return l.came == 0 && !l.fragment && l.forgot.IsZero() && !x.gone && x.handled.IsZero() && x.skips == 0 && !x.damaged(l) && !x.besideDamage(l) && !x.optional(l) && !x.hidden(l) && !x.likeAttrs(l) && !x.unshown(l)
}

// unshown says whether Engine 20.10 does not show a line: an empty one of journald.
func (x *written) unshown(l *wline) bool {
	return l.text == "" && x.spec.Driver == "journald" && slices.Contains([]string{x.w.p.API, x.w.api}, "1.41")
}

// likeAttrs says whether a record without a time is glued to a torn one, of which
// it may be the attrs. The place is counted with the next record that comes.
func (x *written) likeAttrs(l *wline) bool { return l.undated && slices.Contains(x.tears, l.seq) }

// besideDamage says whether it was said that a log is damaged by requests that take
// their time, soon after a line was written: it was looked for meanwhile.
func (x *written) besideDamage(l *wline) bool {
	if x.w.p.Latency == 0 || x.damagedFrom < 0 || l.seq < x.damagedFrom {
		return false
	}
	soon := 2 * time.Minute
	if x.w.p.Pace > 0 { // and so do the answers
		soon = 5 * time.Minute
	}
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	return slices.ContainsFunc(x.w.said, func(s said) bool {
		return strings.HasPrefix(x.c.ID, s.id) && strings.Contains(s.text, "is damaged") && !s.at.Before(l.at) && s.at.Sub(l.at) < soon
	})
}

// hidden says whether the Engine may not have shown a line that it keeps, because
// somebody else had the log open.
func (x *written) hidden(l *wline) bool { return !x.byFile() && !l.at.After(x.held) }

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
	if x.unshown(l) || x.undated && x.skips > 0 {
		return true, true // what was left out beside records without a time has no place of its own
	}
	if x.damaged(l) {
		return true, true // what is behind it is not
	}
	if x.likeAttrs(l) {
		return true, true
	}
	if x.besideDamage(l) {
		return true, false
	}
	if x.hidden(l) {
		return true, true // see capture/README.md#what-the-engine-leaves-out
	}
	if x.movedUnseen() {
		return true, true // what the Engine writes on in is not seen
	}
	if !x.handled.IsZero() && x.datedBack(l) {
		return true, true // in a file that was handled it is taken for what was read
	}
	if !x.handled.IsZero() && !l.at.After(x.handled) {
		// A file of which nothing was read looks as it did, and one that is gone at once looks like nothing.
		return true, x.isFirst(l, true, x.handled) || x.leftWithin(l.at, x.handled.Sub(l.at)) || x.gone && x.unseen() && x.goneAt.Sub(x.handled) <= time.Second
	}
	followed := x.followed()
	turn := x.w.turnTime(l.at)
	far := followed && x.recordsWithin(l, turn) > compared
	if !l.forgot.IsZero() {
		return true, far || x.leftWithin(l.at, time.Second) || x.isFirst(l, false, l.forgot) || x.emptied(l) || followed && l.forgot.Sub(l.at) < turn || x.skips > 0 && x.w.endsWithin(l.at, turn) || x.gone && x.unseen()
	}
	if x.gone {
		return true, far || x.unseen() || x.w.unheard && x.goneAt.Sub(l.at) < shortLife || x.leavesOut() && (x.goneAt.Sub(l.at) < turn || x.w.endsWithin(l.at, turn))
	}
	if x.datedBack(l) && x.w.wasSaid(x, l) {
		return true, true // behind a gap it is found by its time
	}
	return x.skips > 0 && (far || x.w.endsWithin(l.at, turn) || x.leftForLong(l.at, turn)), true
}

// leavesOut says whether what the Engine sends of the log may lack something: Engine
// 20.10 leaves out the rest of a file that it rotates.
func (x *written) leavesOut() bool {
	return x.skips > 0 || x.followed() && x.spec.MaxSize > 0 && x.w.p.API == "1.41"
}

// turnTime is by when what was written at a time is compared with the log.
func (w *world) turnTime(from time.Time) time.Duration {
	rotate := time.Duration(w.p.Rotate) * time.Millisecond
	if soon := 2*rotate + 3*time.Second + 5*time.Duration(w.p.Latency)*time.Millisecond; w.p.Pace == 0 && w.calm(from, soon) {
		return soon
	}
	until := from.Add(rotate + 15*time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.faults.past { // while something is wrong it may not be
		for _, p := range w.faults.past {
			if late := p.to.Add(rotate + 15*time.Second); p.from.Before(until) && p.to.After(from) && late.After(until) {
				until = late
			}
		}
	}
	return until.Sub(from)
}

// endsWithin says whether an agent ended within a time.
func (w *world) endsWithin(from time.Time, d time.Duration) bool {
	return slices.ContainsFunc(w.ended, func(e endedAgent) bool { return !e.at.Before(from) && e.at.Sub(from) <= d })
}

// leftWithin says whether the container was not wanted any more within a time.
func (x *written) leftWithin(from time.Time, d time.Duration) bool {
	return slices.ContainsFunc(x.unwanted, func(p period) bool { return !p.from.Before(from) && p.from.Sub(from) <= d })
}

// leftForLong is leftWithin where what was to be compared was forgotten before the
// container was wanted again.
func (x *written) leftForLong(from time.Time, d time.Duration) bool {
	return slices.ContainsFunc(x.unwanted, func(p period) bool {
		away := p.to.Sub(p.from)
		return !p.from.Before(from) && p.from.Sub(from) <= d && (p.to.IsZero() || away >= stream.GoneGrace || x.w.endsWithin(p.from, away))
	})
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
			if o.seq < l.seq && o.isThere() && ended && (!ofFile || o.file == l.file && o.came > 0) && (!o.acked.IsZero() || o.agent > 0 && x.w.ended[o.agent-1].at.After(at)) {
				return false
			}
		}
	}
	return true
}

// emptied says whether the log held nothing when a gap was said before a line, and
// nothing came in between: then nothing tells what it began with. Nothing is to come any
// more. mu is held.
func (x *written) emptied(l *wline) bool {
	if x.begins == nil {
		x.begins = x.beginnings()
	}
	return slices.ContainsFunc(x.begins, func(b begins) bool { return !b.said.After(l.at) && b.seq >= l.seq })
}

// begins is the first record that is known to have stood in a log since a gap was said.
type begins struct {
	said time.Time
	seq  int
}

// beginnings are those of all gaps that were said of the container. mu is held.
func (x *written) beginnings() []begins {
	x.w.mu.Lock()
	defer x.w.mu.Unlock()
	all := []begins{}
	for _, s := range x.w.said {
		if !strings.HasPrefix(x.c.ID, s.id) {
			continue
		}
		b := begins{said: s.at, seq: math.MaxInt}
		for std := range x.lines {
			for _, o := range x.lines[std] {
				kept := o.at.Before(s.at) && (o.forgot.IsZero() || o.forgot.After(s.at))
				came := o.came > 0 || o.fragment && !o.begun.Before(s.at) // else it is its beginning that came
				if kept || !o.at.Before(s.at) && came {
					b.seq = min(b.seq, o.seq)
				}
			}
		}
		all = append(all, b)
	}
	return all
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
			from = l.at.Add(-time.Minute)
		}
		if strings.HasPrefix(x.c.ID, s.id) && !s.at.Before(from) {
			return true
		}
	}
	return false
}
