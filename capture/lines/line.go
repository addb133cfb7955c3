package lines

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
	breaks  uint32 // met when it began
}

// Accept takes the next record of the log. The outbox is locked. A record is
// emitted before the position moves on: emitting may seal a batch, which
// notes the position.
func (w *Writer) Accept(e *decode.Entry) {
	w.half = true
	std := e.Std
	w.seen++
	if w.pos.Kind != position.FromAnchor {
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
			broken := l.breaks != w.broken
			w.endLine(std, w.LeavesOpen(e))
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
// not the one that is known to be, all that was to be skipped is gone. If none is
// known, it is from now on. The outbox is locked.
func (w *Writer) begins(e *decode.Entry) {
	m, next := position.MarkOf(e), w.pos.Next
	switch {
	case next == (position.Mark{}):
		if c := &w.Committed; c.Kind == position.FromBeginning && w.pos.Kind == c.Kind && c.Next == next {
			c.Next = m
			w.out.Moved()
		}
	case w.tty && m.TS == next.TS: // what has no end yet may be cut elsewhere
	case !m.Is(&next):
		w.skip, w.longs[next.Std] = [3]uint32{}, w.longs[next.Std] || next.Size >= decode.ChunkSize
		w.settle()
		w.mayBeHeadless()
		w.Lost(slog.LevelError, noLongerKept)
	}
}

// WasEmpty follows a read to the end of the log. Where that was to begin with its
// beginning, or a number of records back, and nothing came, then everything to come is
// new, and what is known to have been there is lost.
func (w *Writer) WasEmpty(ctx context.Context) {
	if w.lock(ctx) != nil {
		return
	}
	defer w.out.Unlock()
	switch known := w.pos.Next != (position.Mark{}); {
	case w.pos.Kind == position.FromTail:
		w.pos = position.Position{}
	case w.pos.Kind == position.FromBeginning && known:
		w.pos.Next, w.skip = position.Mark{}, [3]uint32{}
		w.settle()
		w.Lost(slog.LevelError, noLongerKept)
	}
}

// LeavesOpen says whether the line before a record lacks its end. The Engine has
// left that out: within a run of the container each line has an end. The outbox is
// locked.
func (w *Writer) LeavesOpen(e *decode.Entry) bool {
	l := &w.lines[e.Std]
	return l.pending && l.ts != e.TS && w.lineTimes && e.Place == (decode.Place{}) && w.startedAt != 0 && l.ts >= w.startedAt
}

// LooksHeadless says whether a record may be a line's end alone. A follow sends such
// where the Engine has left out the beginning: the record ends a line that is no
// longer than itself, and the line before was longer. The outbox is locked.
func (w *Writer) LooksHeadless(e *decode.Entry) bool {
	return w.long[e.Std] && !w.lines[e.Std].pending && !e.GoesOn()
}

// mayBeHeadless follows a gap: where long lines are written, the first record
// behind it may be the rest of one. The outbox is locked.
func (w *Writer) mayBeHeadless() { w.headless = w.longs }

// Broke follows a place where records are missing. What is incomplete there is
// a fragment. The outbox is locked.
func (w *Writer) Broke() {
	w.broken++
	w.mayBeHeadless()
}

// joinPartial adds a partial to the line of its std stream.
func (w *Writer) joinPartial(e *decode.Entry, ends bool) {
	l := &w.lines[e.Std]
	if !l.pending {
		w.setBase(e.Std, w.pos)
		if w.pos.Kind != position.FromAnchor {
			w.bases[e.Std].pos.Next = position.MarkOf(e)
		}
		l.pending, l.ts, l.text, l.breaks = true, e.TS, w.out.LineBuffer(), w.broken
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
func (w *Writer) trimTerminal(text []byte, newline bool) []byte {
	if k := len(text) - 1; w.tty && newline && k >= 0 && text[k] == '\r' {
		return text[:k]
	}
	return text
}

// endLine takes the incomplete line of a std stream for complete.
func (w *Writer) endLine(std uint8, truncated bool) {
	l := &w.lines[std]
	w.whole(std, nil, l.ts, l.text, truncated || w.headless[std] || l.breaks != w.broken)
	w.headless[std], w.long[std], w.longs[std] = false, true, true
	w.out.FreeLine(l.text)
	*l = line{}
	w.done(std)
	w.settle()
}

func (w *Writer) advance(e *decode.Entry) {
	m := position.MarkOf(e)
	w.pass(&m)
	w.pos.Place = e.Place
}

// pass moves the position behind a record that was consumed.
func (w *Writer) pass(m *position.Mark) {
	w.pos.Advance(*m)
	if !w.based {
		return
	}
	w.passed(m.Std)
	if l := &w.lines[m.Std]; l.pending {
		l.partial++
	}
	if w.isTracing(m.Std) {
		w.traces[m.Std].records++
	}
	w.settle()
}

// emit appends a record to the outbox.
func (w *Writer) emit(std uint8, ts int64, text []byte, truncated bool) {
	if !w.isWanted(std) {
		w.out.Moved() // as if it were delivered
		return
	}
	if truncated {
		text = text[:min(len(text), w.maxLine)]
		w.count.truncated++
	}
	if ts == decode.Undated {
		ts = w.date()
	}
	b := w.out.Batch(w.tag, &w.Seat, w.tmpl.Size(len(text)))
	before := len(b.Buf)
	b.Buf = w.tmpl.Append(b.Buf, ts, std, text, truncated)
	w.out.Added(b, len(b.Buf)-before)
	w.count.lines++
	w.count.bytes += len(text)
}

// isWanted says whether a std stream becomes records.
func (w *Writer) isWanted(std uint8) bool {
	return w.wanted[std]
}

// Incomplete says whether a line is.
func (w *Writer) Incomplete() bool {
	w.out.Lock()
	defer w.out.Unlock()
	return w.lines[decode.Stdout].pending || w.lines[decode.Stderr].pending
}

// date is the time of a line that has none of its own: that of the line before,
// or the present if there is none.
func (w *Writer) date() int64 {
	w.count.undated++
	switch at := w.pos.Anchor.Time(); {
	case at != 0:
		w.dated = at
	case w.dated == 0:
		w.dated = w.now()
	}
	w.warnOnce(&w.saidUndated, "lines have no time, or one outside of 1970 to 2105; they come with that of the line before, and are counted")
	return w.dated
}

// EndRun emits what the container left without a line end. It has stopped; torn
// says that the log was not read to its end.
func (w *Writer) EndRun(ctx context.Context, torn bool) error {
	return w.Deliver(ctx, nil, func() error {
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
