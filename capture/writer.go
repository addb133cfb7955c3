package capture

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/say"
)

// writer makes records of one log's lines, and knows up to where it has: the position,
// and what is not complete. But for what is set once, its fields are guarded by the
// outbox's lock.
type writer struct {
	*lineShared
	log     *slog.Logger
	reading func() course
	losses  say.Seldom

	outbox.Seat
	tmpl      encoder
	tag       string
	pos       position.Position // behind the last record consumed
	seen      uint64            // records consumed
	half      bool              // one is being consumed
	poison    *poison           // where the last panic was, nil before the first
	lines     [3]line           // by std
	multi     languages         // whose stack traces are joined
	traces    *[3]trace         // by std; nil without multi
	watched   bool              // it is among the open traces
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

	saidUndated, saidSkipped bool
}

// gapAt is where records are missing: behind which, and after how many that were
// consumed.
type gapAt struct {
	behind position.Mark
	seen   uint64
}

// lineShared is what all writers have in common.
type lineShared struct {
	out     *outbox.Outbox
	maxLine int          // bytes of a record's text
	wanted  [3]bool      // std streams that become records
	now     func() int64 // by the Engine's clock, nanoseconds since 1970
	metrics *lineMetrics
	open    openTraces
}

// newLineShared makes it. The caller sets metrics, and closes it in the end.
func newLineShared(out *outbox.Outbox, maxLine int, wanted [3]bool, now func() int64) *lineShared {
	c := &lineShared{out: out, maxLine: maxLine, wanted: wanted, now: now}
	c.open.timer = time.AfterFunc(time.Hour, c.endIdle)
	c.open.timer.Stop()
	return c
}

// encoder makes the records of one container.
type encoder interface {
	// Append encodes a record behind dst; cut marks a line that is not whole.
	Append(dst []byte, ts int64, std uint8, text []byte, cut bool) []byte
	// Size bounds the bytes of a record whose text has n bytes.
	Size(n int) int
}

// setUp makes w the writer of a log, of whose reading it is told by reading, from
// behind p on. It is called before anything else.
func (w *writer) setUp(shared *lineShared, source outbox.Source, log *slog.Logger, reading func() course, p position.Position) {
	w.lineShared, w.Source, w.log, w.reading = shared, source, log, reading
	w.goOn(p)
	w.Committed = w.Snapshot()
}

// describe takes over what is newly known of the container. out.mu is held.
func (w *writer) describe(c *container.Container) {
	w.tty, w.startedAt, w.loose, w.lineTimes = c.TTY, c.StartedAt, c.Driver == "local", !c.HasPieceTimes()
}

// makes says what records are to be made from now on. out.mu is held.
func (w *writer) makes(tag string, tmpl encoder) { w.tag, w.tmpl = tag, tmpl }

// lineMetrics count what writers do, of all containers together.
type lineMetrics struct {
	lines, bytes, partials, truncated prometheus.Counter
	doubles, undated, joined          prometheus.Counter
	damaged, gaps, panics             prometheus.Counter
}

// noLongerKept is said of a log that was rotated away behind the position.
const noLongerKept = "gap: lines were lost, the Engine no longer keeps the last line that was delivered (rotated away or truncated)"

// sayGapAgain is how often it is said that lines of a container were lost,
// where that may happen again and again.
const sayGapAgain = time.Minute

// lineCounts is what a writer counted since it last added it to the metrics,
// so that a line costs no atomic operation.
type lineCounts struct{ lines, bytes, partials, cut, doubles, undated, joined int }

// sayOnce warns of what is said of a log once.
func (w *writer) sayOnce(said *bool, text string) {
	if !*said {
		*said = true
		w.log.Warn(text)
	}
}

// lock takes out.mu for a run of the stream. It fails when the run's context is
// done: another run may have taken its place, and position and lines are its.
func (w *writer) lock(ctx context.Context) error {
	w.out.Lock()
	if ctx.Err() != nil {
		w.out.Unlock()
		return context.Cause(ctx)
	}
	return nil
}

// position returns a copy of the position behind the last record consumed.
func (w *writer) position() position.Position {
	w.out.Lock()
	defer w.out.Unlock()
	return w.pos
}

// consumed is how many records were consumed so far.
func (w *writer) consumed() uint64 {
	w.out.Lock()
	defer w.out.Unlock()
	return w.seen
}

// Snapshot is the position from which everything follows that was not
// delivered yet. out.mu is held.
func (w *writer) Snapshot() position.Position {
	if !w.based {
		return w.pos
	}
	b := w.oldest()
	p := b.pos
	p.CutTS = w.pos.CutTS
	for std := range p.Skip {
		p.Skip[std] = b.seen[std] - w.held(uint8(std)) + w.skip[std]
	}
	return p
}

// tailWasEmpty follows a read to the end of the log: if that was to begin a
// number of records back and there was none, everything to come is new.
func (w *writer) tailWasEmpty(ctx context.Context) {
	if w.lock(ctx) != nil {
		return
	}
	defer w.out.Unlock()
	if w.pos.Kind == position.FromTail {
		w.pos = position.Position{}
	}
}

// lost counts that lines are gone, or may be, and says so if that was not said of
// late.
func (w *writer) lost(level slog.Level, text string, args ...any) {
	w.metrics.gaps.Inc()
	w.losses.Tell(sayGapAgain, func(times int) {
		w.log.Log(context.Background(), level, text, append(args, "times", times)...)
	})
}

// gapBehind follows a log that does not hold the place any more behind which it was
// read: it goes on with what is newer. It says whether the gap is another than the
// last one. out.mu is held.
func (w *writer) gapBehind(a *position.Anchor) (other bool) {
	last := a.Time()
	if gap := (gapAt{a.Newest(), w.seen}); w.gap != gap { // else it is the same one, found again
		w.gap, other = gap, true
		w.metrics.gaps.Inc()
		w.log.Error(noLongerKept, "last_delivered", time.Unix(0, last).UTC())
	}
	for std := range uint8(len(w.lines)) {
		if w.lines[std].pending {
			w.endLine(std, true)
		}
	}
	w.endTraces()
	for i := range a.N { // also of a position that was loaded
		if m := a.At(i); m.Size >= decode.ChunkSize && int(m.Std) < len(w.longs) {
			w.longs[m.Std] = true
		}
	}
	w.mayBeHeadless()
	w.based, w.skip = false, [3]uint32{}
	w.pos = position.Position{Kind: position.FromTime, TS: last + 1, Lost: true, Anchor: *a}
	return other
}

// publish adds what was counted to the metrics. out.mu is held.
func (w *writer) publish() {
	if w.count == (lineCounts{}) {
		return
	}
	m := w.metrics
	m.lines.Add(float64(w.count.lines))
	m.bytes.Add(float64(w.count.bytes))
	if w.count.partials+w.count.cut+w.count.doubles+w.count.undated > 0 {
		m.partials.Add(float64(w.count.partials))
		m.truncated.Add(float64(w.count.cut))
		m.doubles.Add(float64(w.count.doubles))
		m.undated.Add(float64(w.count.undated))
	}
	if w.count.joined > 0 {
		m.joined.Add(float64(w.count.joined))
	}
	w.emitted += uint64(w.count.lines)
	w.movedAt = time.Now()
	w.count = lineCounts{}
}

// progress is how many lines were made records of, when the last one was, and the
// time of the last record consumed, 0 if none has one.
func (w *writer) progress() (lines uint64, movedAt time.Time, last int64) {
	w.out.Lock()
	defer w.out.Unlock()
	return w.emitted, w.movedAt, w.pos.Anchor.Time()
}

// newest is the last record consumed. out.mu is held.
func (w *writer) newest() position.Mark { return w.pos.Anchor.Newest() }

// wasLong says whether the last line of a std stream was more than one record.
// out.mu is held.
func (w *writer) wasLong(std uint8) bool { return w.long[std] }

// sentTwice counts a record that was dropped for that. out.mu is held.
func (w *writer) sentTwice() { w.count.doubles++ }

// beginAt moves to where the capture begins.
func (w *writer) beginAt(ctx context.Context, p position.Position) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	defer w.out.Unlock()
	w.pos = p
	if w.needs(restored) {
		w.setBase(restored, p)
	}
	w.out.Moved()
	return nil
}

// reportDamage counts and says that there may be lines that the Engine cannot
// read.
func (w *writer) reportDamage(ctx context.Context) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	w.mayBeHeadless()
	w.out.Unlock()
	w.metrics.gaps.Inc()
	w.log.Error("gap: the log is damaged behind the last line that was delivered, lines that the Engine cannot read are lost")
	return nil
}
