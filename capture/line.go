package capture

import (
	"context"
	"log/slog"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// line is an incomplete line of one std stream.
type line struct {
	pending bool
	ts      int64 // of its first partial
	text    []byte
	partial uint32 // partials so far that the position is behind
	torn    bool   // of a late one: it is not whole
	breaks  uint32 // of the stream, when it began
}

// base is a place that is to be read from again after a restart, because
// something behind it is not delivered yet: an incomplete line, or a trace.
type base struct {
	pos  position.Position
	seen [3]uint32 // records consumed behind it, by std
}

// accept takes the next record of the log. out.mu is held. A record is
// emitted before the position moves on: emitting may seal a batch, which
// notes the position.
func (w *writer) accept(e *decode.Entry) {
	w.half = true
	std := e.Std
	w.seen++
	if w.pos.Kind != position.FromAnchor && w.pos.Next != (position.Mark{}) {
		w.begins(e)
	}
	if w.skip[std] > 0 {
		w.skip[std]--
		w.advance(e)
		w.half = false
		return
	}
	l, cutTS := &w.lines[std], &w.pos.CutTS[std]
	if w.lineTimes {
		// A container that exits in the middle of a line leaves it without an
		// end; the next line has a timestamp of its own.
		if l.pending && l.ts != e.TS {
			broken := l.breaks != w.breaks
			w.endLine(std, w.leavesOpen(e))
			w.headless[std] = broken // it may be what is left of another long one
		}
		if *cutTS != e.TS {
			*cutTS = 0
		}
	}
	ends := !e.GoesOn()
	switch {
	case *cutTS != 0:
		if ends {
			*cutTS = 0
		}
	case ends && !l.pending:
		text := w.trimTerminal(e.Text, e.Newline || w.loose && w.headless[std])
		w.whole(std, e, e.TS, text, len(text) > w.maxLine || w.headless[std])
		w.headless[std], w.long[std] = false, w.headless[std] // it may have been the end of a long one
	default:
		w.joinPartial(e, ends)
	}
	w.advance(e)
	w.half = false
}

// begins looks at the first record of a log that no anchor was found in: if it is
// not the one that is known to be, all that was to be skipped is gone. out.mu is held.
func (w *writer) begins(e *decode.Entry) {
	m, next := position.MarkOf(e), w.pos.Next
	if w.tty && m.TS == next.TS { // what has no end yet may be cut elsewhere
		return
	}
	if !m.Same(&next) {
		w.skip, w.longs[next.Std] = [3]uint32{}, w.longs[next.Std] || next.Size >= decode.ChunkSize
		w.settle()
		w.mayBeHeadless()
		w.lost(slog.LevelError, noLongerKept)
	}
}

// leavesOpen says that a record shows that the Engine has left out the rest of
// the line before: within a run of the container each line has an end. out.mu
// is held.
func (w *writer) leavesOpen(e *decode.Entry) bool {
	l := &w.lines[e.Std]
	return l.pending && l.ts != e.TS && w.lineTimes && e.Place == (decode.Place{}) && w.startedAt != 0 && l.ts >= w.startedAt
}

// looksHeadless says whether a record that a follow sends may be the rest of a
// line whose beginning the Engine has left out: it ends a line that is no longer
// than itself, and the line before was longer. out.mu is held.
func (w *writer) looksHeadless(e *decode.Entry) bool {
	return w.long[e.Std] && !w.lines[e.Std].pending && !e.GoesOn()
}

// mayBeHeadless follows a gap: where long lines are written, the first record
// behind it may be the rest of one. out.mu is held.
func (w *writer) mayBeHeadless() { w.headless = w.longs }

// broke follows a place where records are missing: what is incomplete there is
// a fragment. out.mu is held.
func (w *writer) broke() {
	w.breaks++
	w.mayBeHeadless()
}

// joinPartial adds a partial to the line of its std stream.
func (w *writer) joinPartial(e *decode.Entry, ends bool) {
	l := &w.lines[e.Std]
	if !l.pending {
		w.setBase(e.Std, w.pos)
		if w.pos.Kind != position.FromAnchor {
			w.bases[e.Std].pos.Next = position.MarkOf(e)
		}
		l.pending, l.ts, l.text, l.breaks = true, e.TS, w.out.LineBuffer(), w.breaks
	}
	w.count.partials++
	room := w.maxLine - len(l.text)
	l.text = append(l.text, e.Text[:min(room, len(e.Text))]...)
	switch {
	case len(e.Text) > room:
		w.endLine(e.Std, true)
		if !ends {
			w.pos.CutTS[e.Std] = e.TS
			if e.TS == 0 {
				w.pos.CutTS[e.Std] = 1
			}
		}
	case ends:
		l.text = w.trimTerminal(l.text, e.Newline || w.loose)
		w.endLine(e.Std, false)
	}
}

// trimTerminal takes off the CR that a terminal, and not the container, put
// before the newline.
func (w *writer) trimTerminal(text []byte, newline bool) []byte {
	if k := len(text) - 1; w.tty && newline && k >= 0 && text[k] == '\r' {
		return text[:k]
	}
	return text
}

// endLine takes the incomplete line of a std stream for complete.
func (w *writer) endLine(std uint8, cut bool) {
	l := &w.lines[std]
	w.whole(std, nil, l.ts, l.text, cut || w.headless[std] || l.breaks != w.breaks)
	w.headless[std], w.long[std], w.longs[std] = false, true, true
	w.out.FreeLine(l.text)
	*l = line{}
	w.settle()
}

// restored is the index of the base that a restart gave, beside those of the
// std streams' lines and traces.
const restored = 0

// setBase notes the place before an incomplete line of a std stream, or the
// place of a restart.
func (w *writer) setBase(i uint8, p position.Position) {
	if w.bases[i] == nil { // most containers never need it
		w.bases[i] = new(base)
	}
	*w.bases[i], w.based = base{pos: p}, true
}

// needs says whether a base is one still.
func (w *writer) needs(i uint8) bool {
	switch {
	case i == restored:
		return w.skip != [3]uint32{}
	case i > decode.Stderr:
		return w.isTracing(i - decode.Stderr)
	}
	return w.lines[i].pending
}

// settle forgets the bases when nothing depends on any of them.
func (w *writer) settle() {
	for i := range uint8(len(w.bases)) {
		if !w.based || w.needs(i) {
			return
		}
	}
	w.based = false
}

// oldest is the base that is furthest back, nil if there is none.
func (w *writer) oldest() (b *base) {
	for i := range uint8(len(w.bases)) {
		switch {
		case !w.needs(i):
		case i == restored:
			return w.bases[i]
		case b == nil, b.seen[decode.Stdout]+b.seen[decode.Stderr] < w.bases[i].seen[decode.Stdout]+w.bases[i].seen[decode.Stderr]:
			b = w.bases[i]
		}
	}
	return b
}

func (w *writer) advance(e *decode.Entry) {
	m := position.MarkOf(e)
	w.pass(&m)
	w.pos.Place = e.Place
}

// pass moves the position behind a record that was consumed.
func (w *writer) pass(m *position.Mark) {
	w.pos.Advance(*m)
	if !w.based {
		return
	}
	for i := range uint8(len(w.bases)) {
		if w.needs(i) {
			w.bases[i].seen[m.Std]++
		}
	}
	if l := &w.lines[m.Std]; l.pending {
		l.partial++
	}
	if w.isTracing(m.Std) {
		w.traces[m.Std].records++
	}
	w.settle()
}

// emit appends a record to the outbox.
func (w *writer) emit(std uint8, ts int64, text []byte, cut bool) {
	if !w.isWanted(std) {
		w.out.Moved() // as if it were delivered
		return
	}
	if cut {
		text = text[:min(len(text), w.maxLine)]
		w.count.cut++
	}
	if ts == decode.Undated {
		ts = w.date()
	}
	b := w.out.Batch(w.tag, &w.Seat, w.tmpl.Size(len(text)))
	before := len(b.Buf)
	b.Buf = w.tmpl.Append(b.Buf, ts, std, text, cut)
	w.out.Added(b, len(b.Buf)-before)
	w.count.lines++
	w.count.bytes += len(text)
}

// isWanted says whether a std stream becomes records.
func (w *writer) isWanted(std uint8) bool {
	return w.wanted[std]
}

// incomplete says whether a line is.
func (w *writer) incomplete() bool {
	w.out.Lock()
	defer w.out.Unlock()
	return w.lines[decode.Stdout].pending || w.lines[decode.Stderr].pending
}

// date is the time of a line that has none of its own: that of the line before,
// or the present if there is none.
func (w *writer) date() int64 {
	w.count.undated++
	switch at := w.pos.Anchor.Time(); {
	case at != 0:
		w.dated = at
	case w.dated == 0:
		w.dated = w.now()
	}
	w.sayOnce(&w.saidUndated, "lines have no time, or one outside of 1970 to 2105; they come with that of the line before, and are counted")
	return w.dated
}

// endRun emits what the container left without a line end when it stopped; torn
// says that the log was not read to its end.
func (w *writer) endRun(ctx context.Context, torn bool) error {
	return w.deliver(ctx, nil, func() error {
		w.half = true
		for std := range uint8(len(w.lines)) {
			if w.lines[std].pending {
				w.endLine(std, torn)
			}
			w.pos.CutTS[std] = 0
		}
		w.endTraces()
		w.half = false
		return nil
	})
}
