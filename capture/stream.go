package capture

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// reader is a way in which a stream gets at the log of its container. It is
// made for one run of the stream.
type reader interface {
	// read delivers to s what the log holds behind the position of s, and
	// with follow also what is written from now on. It returns nil at the
	// end of the log, else why it stopped; by then it holds no resource any
	// more, and the position of s is behind the last record delivered.
	read(ctx context.Context, s *stream, follow bool) error
}

// errBackpressure ends a read when the outbox stays full: a log must not be
// left open and unread, because the Engine buffers for it.
var errBackpressure = errors.New("Fluent Bit takes no records at the moment")

// stream is the capture of one container's log: its position, its incomplete
// lines, its way into the outbox. It outlives the runs of the container.
type stream struct {
	id      string
	col     *Collector
	task    *supervise.Task // keeps it running
	log     *slog.Logger
	poke    chan struct{} // capacity 1: look at the container again now
	trouble say.Trouble
	last    say.LastError
	notes   readerNotes
	standing
	parked atomic.Bool // the FD guard wants no log of it open
	quiet  atomic.Bool // it is polled until it writes more
	turned atomic.Bool // it was rotated before
	alien  atomic.Bool // its file holds something else than its records
	rough  atomic.Bool // what is no frame is left out of the present read
	// logKeeps is how many bytes of the log the Engine keeps, 0: all.
	logKeeps atomic.Int64
	// outrunAt is when the log was last seen to be replaced too fast to be compared
	// with what was sent of it, in nanoseconds since 1970, 0: never.
	outrunAt atomic.Int64

	// The rest is guarded by the outbox's lock.
	outbox.Seat
	tmpl      *recordTemplate
	tag       string
	pos       position.Position // behind the last record consumed
	seen      uint64            // records consumed
	half      bool              // one is being consumed
	poison    *poison           // where the last panic was, nil before the first
	lines     [3]line           // by std
	multi     languages         // whose stack traces are joined
	traces    *[3]trace         // by std; nil without multi
	watched   bool              // it is in col.traces
	late      *[3]line          // of records that are delivered late; nil outside of that
	startedAt int64             // the container's present run
	long      [3]bool           // by std: its last line was more than one record
	longs     [3]bool           // by std: any line was
	headless  [3]bool           // by std: the next line may lack its beginning
	breaks    uint32            // places met where records are missing
	gap       gapAt             // the last one behind what was delivered
	tty       bool              // a terminal ends its lines with CR LF
	loose     bool              // the driver may lose the newline of a long line
	lineTimes bool              // the driver gives all partials of a line one timestamp
	// While a line or a trace is incomplete, a restart begins before its first
	// record, at the oldest base, and skips the records behind it that need no second
	// delivery; skip is what is left to be skipped.
	based   bool       // any base is needed
	bases   [5]*base   // restored; by std of lines; and of traces
	skip    [3]uint32  // by std
	count   lineCounts // since the last publish
	emitted uint64     // lines, until then
	dated   int64      // what the last line without a time was given for one
	movedAt time.Time  // of the last publish
}

// gapAt is where records are missing: behind which, and after how many that were
// consumed.
type gapAt struct {
	behind position.Mark
	seen   uint64
}

// newStream makes the stream of a container that was just inspected.
func newStream(col *Collector, c *container.Container, pos position.Position) *stream {
	s := &stream{
		id:      c.ID,
		col:     col,
		poke:    make(chan struct{}, 1),
		trouble: say.Trouble{What: "reading the log"},
	}
	s.log = s.last.Remember(col.log.With("container", c.Name, "id", container.ShortID(c.ID)))
	s.task = supervise.NewTask(taskStream, s.log, nil)
	s.Seat.Source = s
	s.goOn(pos)
	s.Committed = s.Snapshot()
	s.describe(c)
	return s
}

// describe takes over what is newly known of the container.
func (s *stream) describe(c *container.Container) {
	s.meta.Lock()
	old := s.ctr
	s.ctr = c
	s.meta.Unlock()
	s.logKeeps.Store(c.LogKeeps())
	s.col.out.Lock()
	defer s.col.out.Unlock()
	s.tty, s.startedAt, s.loose = c.TTY, c.StartedAt, c.Driver == "local"
	s.lineTimes = !c.HasPieceTimes()
	if old != nil && old.Name == c.Name && old.Image == c.Image && maps.Equal(old.Attrs, c.Attrs) {
		return
	}
	s.tmpl = newRecordTemplate(s.col.cfg, c, s.col.host)
	s.sayMet(s.tmpl.met)
	s.heed(c)
	s.tag = expandTag(s.col.cfg.TagTemplate, c, s.col.host)
}

// lookAgain makes the stream inspect its container soon.
func (s *stream) lookAgain() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// lock takes out.mu for a run of the stream. It fails when the run's context is
// done: another run may have taken its place, and position and lines are its.
func (s *stream) lock(ctx context.Context) error {
	s.col.out.Lock()
	if ctx.Err() != nil {
		s.col.out.Unlock()
		return context.Cause(ctx)
	}
	return nil
}

// Snapshot is the position from which everything follows that was not
// delivered yet. out.mu is held.
func (s *stream) Snapshot() position.Position {
	if !s.based {
		return s.pos
	}
	b := s.oldest()
	p := b.pos
	p.CutTS = s.pos.CutTS
	for std := range p.Skip {
		p.Skip[std] = b.seen[std] - s.held(uint8(std)) + s.skip[std]
	}
	return p
}

// position returns a copy of the position behind the last record consumed.
func (s *stream) position() position.Position {
	s.col.out.Lock()
	defer s.col.out.Unlock()
	return s.pos
}

// consumed is how many records were consumed so far.
func (s *stream) consumed() uint64 {
	s.col.out.Lock()
	defer s.col.out.Unlock()
	return s.seen
}

// tailWasEmpty follows a read to the end of the log: if that was to begin a
// number of records back and there was none, everything to come is new.
func (s *stream) tailWasEmpty(ctx context.Context) {
	if s.lock(ctx) != nil {
		return
	}
	defer s.col.out.Unlock()
	if s.pos.Kind == position.FromTail {
		s.pos = position.Position{}
	}
}

// noLongerKept is said of a log that was rotated away behind the position.
const noLongerKept = "gap: lines were lost, the Engine no longer keeps the last line that was delivered (rotated away or truncated)"

// reportGap counts and says that the log does not hold the anchor any more. It
// returns errMoved: a first look then finds where to go on; where that was of no
// use before, errNotInView. The log of a container that is gone by now, errGone,
// tells nothing of what it held.
func (s *stream) reportGap(ctx context.Context, a *position.Anchor) error {
	if c, err := s.col.api.Inspect(ctx, s.id); errors.Is(err, engine.ErrGone) {
		return err
	} else if err == nil {
		s.describe(c)
	}
	s.known() // what another question waits for may be rotated away
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.col.out.Unlock()
	last, why := a.Time(), errNotInView
	if gap := (gapAt{a.Newest(), s.seen}); s.gap != gap { // else it is the same one, found again
		s.gap, why = gap, errMoved
		s.col.metrics.gaps.Inc()
		s.log.Error(noLongerKept, "last_delivered", time.Unix(0, last).UTC())
	}
	for std := range uint8(len(s.lines)) {
		if s.lines[std].pending {
			s.endLine(std, true)
		}
	}
	s.endTraces()
	for i := range a.N { // also of a position that was loaded
		if m := a.At(i); m.Size >= decode.ChunkSize && int(m.Std) < len(s.longs) {
			s.longs[m.Std] = true
		}
	}
	s.mayBeHeadless()
	s.based, s.skip = false, [3]uint32{}
	s.pos = position.Position{Kind: position.FromTime, TS: last + 1, Lost: true, Anchor: *a}
	return why
}

// sayGapAgain is how often it is said that lines of a container were lost,
// where that may happen again and again.
const sayGapAgain = time.Minute

// lost counts that lines are gone, or may be, and says so if that was not said of
// late.
func (s *stream) lost(level slog.Level, text string, args ...any) {
	s.col.metrics.gaps.Inc()
	n := &s.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gaps++; time.Since(n.saidGap) < sayGapAgain {
		return
	}
	s.log.Log(context.Background(), level, text, append(args, "times", n.gaps)...)
	n.gaps, n.saidGap = 0, time.Now()
}

// publish adds what was counted to the metrics. out.mu is held.
func (s *stream) publish() {
	if s.count == (lineCounts{}) {
		return
	}
	m := s.col.metrics
	m.lines.Add(float64(s.count.lines))
	m.bytes.Add(float64(s.count.bytes))
	if s.count.partials+s.count.cut+s.count.doubles+s.count.undated > 0 {
		m.partials.Add(float64(s.count.partials))
		m.truncated.Add(float64(s.count.cut))
		m.doubles.Add(float64(s.count.doubles))
		m.undated.Add(float64(s.count.undated))
	}
	if s.count.joined > 0 {
		m.joined.Add(float64(s.count.joined))
	}
	s.emitted += uint64(s.count.lines)
	s.movedAt = time.Now()
	s.count = lineCounts{}
}
