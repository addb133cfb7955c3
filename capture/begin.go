package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
)

// firstLook finds where a capture begins among the records that a log holds
// when it is first looked at, or looked at again after a gap. Only these are
// judged by their time or counted from the end: what is written from then on
// is new, whatever a clock says. So the place becomes the anchor of the record
// before it, or the beginning of the log.
type firstLook struct {
	target *position.Position
	whole  bool // what is fed begins with the first record of the log
	// now is the Engine's present, in nanoseconds since 1970. Where all that was
	// written before it is to be left out, so are records from the future: the
	// clock was set back since then. 0: they are not.
	now func() int64

	seen  int
	first position.Mark     // the oldest record fed
	past  position.Position // behind the newest record fed
	open  [3]int64          // by std: the time of the line whose end was not fed yet, 0 if there is none
	at    position.Position // where the capture begins, once found or at the end
	found bool

	skip  int    // fromTail: so many records are known to be before the first that counts
	heads []head // fromTail: the first records fed
	piece [3]int // fromTail: by std, the first piece of the open line

	known, timed bool // after a gap: at is behind a record that was delivered; before the first by time
	byTime       position.Position
}

// head is one of the first records fed.
type head struct {
	mark  position.Mark
	spot  decode.Place
	first int // which of them its line begins with
	open  bool
}

// future is by how much a record may be newer than the present, by clocks of
// two machines.
const future = int64(10 * time.Second)

// moreHeads is how many records more than Start_From says are read, to find
// the beginning of a long line among them.
const moreHeads = 64

func (s *stream) firstLook(target *position.Position, whole bool) *firstLook {
	l := &firstLook{target: target, whole: whole}
	s.col.mu.Lock()
	defer s.col.mu.Unlock()
	if target.Kind == position.FromTime && !target.Lost && target.TS >= s.col.nowAt {
		l.now = func() int64 { return time.Now().UnixNano() + s.col.ahead.Load() }
	}
	return l
}

// complete says that no more records need to be fed.
func (l *firstLook) complete() bool { return l.found && l.now == nil }

// feed takes the next record. short says that the log must be read from further
// back.
func (l *firstLook) feed(e *decode.Entry) (short bool) {
	m := position.MarkOf(e)
	if l.skip > 0 {
		l.skip--
		l.pass(e, m)
		return false
	}
	if l.seen++; l.seen == 1 {
		l.first = m
	}
	switch {
	case l.target.Kind == position.FromTail:
		l.remember(e, m)
		return false
	case l.target.Lost:
		if l.target.Anchor.Holds(&m) {
			l.pass(e, m)
			l.known, l.at = true, l.past
			return false
		}
		if !l.timed && e.TS >= l.target.TS {
			l.timed, l.byTime = true, l.past
		}
	case l.now != nil && e.TS > l.target.TS+future && e.TS > l.now()+future:
		l.found = false // all before it is older still
	case !l.found && e.TS >= l.target.TS:
		// Only a record before it, one with a time, proves that none in between
		// is missing.
		if l.past.Anchor.Time() == 0 && !l.whole {
			return true
		}
		l.found, l.at, l.at.CutTS = true, l.past, l.open
	}
	l.pass(e, m)
	return false
}

// pass moves on behind a record.
func (l *firstLook) pass(e *decode.Entry, m position.Mark) {
	l.past.Advance(m)
	l.past.Place = e.Place
	l.open[e.Std] = 0
	if e.GoesOn() {
		l.open[e.Std] = e.TS
	}
}

// end follows the last record of the log.
func (l *firstLook) end() {
	switch {
	case l.found:
	case l.target.Kind == position.FromTail:
		l.at = l.fromEnd()
	case !l.target.Lost:
		l.at, l.at.CutTS = l.past, l.open
	case l.known:
	case l.timed:
		l.at = l.byTime
	default:
		// All is older than the last record that was delivered, and none of it
		// was: the clock has stepped back.
		l.at = position.Position{}
	}
	if !l.whole { // others may have come before what was fed
		l.at.Anchor.Nth = 0
	}
	if l.at.Kind == position.FromBeginning {
		l.at.Next = l.first // it may be rotated away before it is read
	}
}

func (l *firstLook) remember(e *decode.Entry, m position.Mark) {
	if len(l.heads) > moreHeads {
		return
	}
	i := len(l.heads)
	if l.open[e.Std] != e.TS {
		l.piece[e.Std] = i
	}
	h := head{mark: m, spot: e.Place, first: l.piece[e.Std], open: e.GoesOn()}
	l.open[e.Std] = 0
	if h.open {
		l.open[e.Std] = e.TS
	}
	l.heads = append(l.heads, h)
}

// fromEnd is the position before the last records that target asks for, and
// before the beginning of a line that they would begin in the middle of.
func (l *firstLook) fromEnd() (p position.Position) {
	start := min(max(0, l.seen-l.target.Tail), len(l.heads))
	for again := true; again; {
		open := [3]int{-1, -1, -1}
		for _, h := range l.heads[:start] {
			open[h.mark.Std] = -1
			if h.open {
				open[h.mark.Std] = h.first
			}
		}
		again = false
		for _, first := range open {
			if first >= 0 && first < start {
				start, again = first, true
			}
		}
	}
	if start == 0 && !l.whole { // it began before what was read
		start = min(1, len(l.heads))
	}
	p = l.past
	for _, h := range l.heads[:start] {
		p.Advance(h.mark)
		p.Place = h.spot
		p.CutTS[h.mark.Std] = 0
		if h.open {
			p.CutTS[h.mark.Std] = h.mark.TS
		}
	}
	return p
}

func (s *stream) toBegin() bool {
	p := s.position()
	return p.ToBegin()
}

// begin moves the stream to where its capture begins.
func (s *stream) begin(ctx context.Context, l *firstLook) error {
	l.end()
	return s.beginAt(ctx, l.at)
}

// begin finds where the capture begins, if that is not known yet. Where the log
// is damaged that is left to the reader.
func (f *followReader) begin(ctx context.Context, s *stream) error {
	target := s.position()
	limit := position.FirstTail
	switch {
	case !target.ToBegin():
		return nil
	case target.Kind == position.FromTail:
		limit = target.Tail + moreHeads
	case target.Lost, f.api.IsPodman(): // a record from before it may be long ago
		limit = position.Everything
	}
	skip := 0
	if limit != position.Everything && f.api.IsPodman() { // whose tails are not to be believed
		all := 0
		if err := f.stored(ctx, s, position.Everything, func(*decode.Entry) error { all++; return nil }); err != nil {
			return err
		}
		skip, limit = all-limit, position.Everything
	}
	for {
		r := position.NewResync(&target, limit)
		l := s.firstLook(&target, limit == position.Everything)
		l.skip = skip
		err := f.stored(ctx, s, limit, func(e *decode.Entry) error {
			r.Feed(e)
			if l.feed(e) {
				return errTooShort
			}
			if l.complete() {
				return errFound
			}
			return nil
		})
		var refused decode.SystemError
		switch {
		case errors.As(err, &refused):
			return nil
		case errors.Is(err, errTooShort):
			limit = longer(limit, r)
			continue
		case err != nil && !errors.Is(err, errFound):
			return err
		}
		l.whole = l.whole || l.seen < limit
		s.task.Beat()
		return s.begin(ctx, l)
	}
}

// stored calls each for the last limit records that the log holds, and for
// nothing that is written later.
func (f *followReader) stored(ctx context.Context, s *stream, limit int, each func(*decode.Entry) error) error {
	log, err := f.request(ctx, s, false, limit, &position.Position{})
	if err != nil {
		return err
	}
	defer log.close()
	silence := time.AfterFunc(engine.CallTimeout, func() { log.cut(errStalled) })
	defer silence.Stop()
	for {
		_, err := log.fill()
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			return engine.Cause(log.ctx, fmt.Errorf("reading the log: %w", engine.Classify(err)))
		}
		if err := log.w.Each(eof, each); err != nil || eof {
			return err
		}
		silence.Reset(engine.CallTimeout)
	}
}

// begin finds in the files where the capture begins, if that is not known yet.
func (l *fileLog) begin(ctx context.Context) error {
	target := l.s.position()
	if !target.ToBegin() {
		return nil
	}
	for window := int64(firstWindow); ; window *= position.Further {
		from := place{}
		var err error
		switch {
		case target.Kind == position.FromTail:
			from, err = l.tail(target.Tail + moreHeads)
		case !target.Lost:
			from = l.back(window)
		}
		if err != nil {
			return err
		}
		look := l.s.firstLook(&target, from == place{})
		_, err = l.each(ctx, l.files, from, func(_ place, e *decode.Entry) error {
			if look.feed(e) {
				return errTooShort
			}
			if look.complete() {
				return errFound
			}
			return nil
		})
		switch {
		case errors.Is(err, errTooShort):
			continue
		case err != nil && !errors.Is(err, errFound):
			return err
		}
		return l.s.begin(ctx, look)
	}
}
