package lines

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

// Writer makes records of one log's lines. It knows up to where it has: the position,
// and what is not complete. But for what is set once, its fields are guarded by the
// outbox's lock.
type Writer struct {
	*Shared
	voice
	reading func() Course

	outbox.Seat
	making
	traits
	owed
	breaks
	tally
	tracing
	trial
	pos   position.Position // behind the last record consumed
	seen  uint64            // records consumed
	lines [3]line           // by std
	late  *[3]line          // of records that are delivered late; nil outside of that
}

// voice says what is to be said of one log.
type voice struct {
	log                      *slog.Logger
	losses                   say.Seldom
	saidUndated, saidSkipped bool
}

// making is how a line becomes a record.
type making struct {
	tmpl Encoder
	tag  string
}

// traits are what of a container matters to its lines.
type traits struct {
	startedAt int64 // its present run
	tty       bool  // a terminal ends its lines with CR LF
	loose     bool  // the driver may lose the newline of a long line
	lineTimes bool  // the driver gives all partials of a line one timestamp
}

// breaks are the places where records are missing, and what may be a fragment there.
type breaks struct {
	broken   uint32  // how many were met
	gap      gapAt   // the last one behind what was delivered
	damage   *gapAt  // the last one that is damaged
	long     [3]bool // by std: its last line was more than one record
	longs    [3]bool // by std: any line was
	headless [3]bool // by std: the next line may lack its beginning
}

// tally is what was counted, and what of it was added to the metrics.
type tally struct {
	count   lineCounts // since the last publish
	emitted uint64     // lines, until then
	movedAt time.Time  // of the last publish
	dated   int64      // what the last line without a time was given for one
}

// gapAt is where records are missing: behind which, and after how many that were
// consumed.
type gapAt struct {
	behind position.Mark
	seen   uint64
}

// Shared is what all writers have in common.
type Shared struct {
	out     *outbox.Outbox
	maxLine int          // bytes of a record's text
	wanted  [3]bool      // std streams that become records
	now     func() int64 // by the Engine's clock, nanoseconds since 1970
	metrics *Metrics
	open    openTraces
}

// NewShared makes it. The caller closes it in the end.
func NewShared(out *outbox.Outbox, maxLine int, wanted [3]bool, now func() int64, metrics *Metrics) *Shared {
	c := &Shared{out: out, maxLine: maxLine, wanted: wanted, now: now, metrics: metrics}
	c.open.timer = time.AfterFunc(time.Hour, c.endIdle)
	c.open.timer.Stop()
	return c
}

// Encoder makes the records of one container.
type Encoder interface {
	// Append encodes a record behind dst. truncated marks a line that is not whole.
	Append(dst []byte, ts int64, std uint8, text []byte, truncated bool) []byte
	// Size bounds the bytes of a record whose text has n bytes.
	Size(n int) int
}

// SetUp makes w the writer of a log, from behind p on. reading tells how the log is
// read. It is called before anything else.
func (w *Writer) SetUp(shared *Shared, source outbox.Source, log *slog.Logger, reading func() Course, p position.Position) {
	w.Shared, w.Source, w.log, w.reading = shared, source, log, reading
	w.goOn(p)
	w.Committed = w.Snapshot()
}

// Describe takes over what is newly known of the container. The outbox is locked.
func (w *Writer) Describe(c *container.Container) {
	w.tty, w.startedAt, w.loose, w.lineTimes = c.TTY, c.StartedAt, c.Driver == "local", !c.HasPieceTimes()
}

// Make says what records are to be made from now on. The outbox is locked.
func (w *Writer) Make(tag string, tmpl Encoder) { w.tag, w.tmpl = tag, tmpl }

// Metrics count what writers do, of all containers together.
type Metrics struct {
	Lines, Bytes, Partials, Truncated prometheus.Counter
	Doubles, Undated, Joined          prometheus.Counter
	Damaged, Gaps, Panics             prometheus.Counter
}

// noLongerKept is said of a log that was rotated away behind the position.
const noLongerKept = "gap: lines were lost, the Engine no longer keeps the last line that was delivered (rotated away or truncated)"

// sayGapAgain is how often it is said that lines of a container were lost,
// where that may happen again and again.
const sayGapAgain = time.Minute

// lineCounts is what a writer counted since it last added it to the metrics,
// so that a line costs no atomic operation.
type lineCounts struct{ lines, bytes, partials, truncated, doubles, undated, joined int }

// warnOnce says what is said of a log once.
func (v *voice) warnOnce(said *bool, text string) {
	if !*said {
		*said = true
		v.log.Warn(text)
	}
}

// lock locks the outbox for a run of the stream. It fails when the run's context is
// done: another run may have taken its place, and position and lines are its.
func (w *Writer) lock(ctx context.Context) error {
	w.out.Lock()
	if ctx.Err() != nil {
		w.out.Unlock()
		return context.Cause(ctx)
	}
	return nil
}

// Position returns a copy of the position behind the last record consumed.
func (w *Writer) Position() position.Position {
	w.out.Lock()
	defer w.out.Unlock()
	return w.pos
}

// Consumed is how many records were consumed so far.
func (w *Writer) Consumed() uint64 {
	w.out.Lock()
	defer w.out.Unlock()
	return w.seen
}

// Snapshot is the position behind which nothing was delivered yet. The outbox
// is locked.
func (w *Writer) Snapshot() position.Position {
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

// Lost counts that lines are gone, or may be. It says so if that was not said of
// late.
func (w *Writer) Lost(level slog.Level, text string, args ...any) {
	w.metrics.Gaps.Inc()
	w.losses.Tell(sayGapAgain, func(times int) {
		w.log.Log(context.Background(), level, text, append(args, "times", times)...)
	})
}

// GapBehind follows a log that does not hold its place any more. The writer goes on
// with what is newer. It says whether the gap is another than the last one.
func (w *Writer) GapBehind(ctx context.Context, a *position.Anchor) (other bool, err error) {
	err = w.Deliver(ctx, nil, func() error {
		last := a.Time()
		if gap := (gapAt{a.Newest(), w.seen}); w.gap != gap { // else it is the same one, found again
			w.gap, other = gap, true
			w.metrics.Gaps.Inc()
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
		w.nothing()
		w.pos = position.Position{Kind: position.FromTime, TS: last + 1, Lost: true, Anchor: *a}
		return nil
	})
	return other, err
}

// publish adds what was counted to the metrics. The outbox is locked.
func (w *Writer) publish() {
	if w.count == (lineCounts{}) {
		return
	}
	m := w.metrics
	m.Lines.Add(float64(w.count.lines))
	m.Bytes.Add(float64(w.count.bytes))
	if w.count.partials+w.count.truncated+w.count.doubles+w.count.undated > 0 {
		m.Partials.Add(float64(w.count.partials))
		m.Truncated.Add(float64(w.count.truncated))
		m.Doubles.Add(float64(w.count.doubles))
		m.Undated.Add(float64(w.count.undated))
	}
	if w.count.joined > 0 {
		m.Joined.Add(float64(w.count.joined))
	}
	w.emitted += uint64(w.count.lines)
	w.movedAt = time.Now()
	w.count = lineCounts{}
}

// Progress is how many records were made, and how new they are. movedAt is when
// the last was made, last the time of the last record consumed, 0 if none has
// one.
func (w *Writer) Progress() (lines uint64, movedAt time.Time, last int64) {
	w.out.Lock()
	defer w.out.Unlock()
	return w.emitted, w.movedAt, w.pos.Anchor.Time()
}

// Newest is the last record consumed. The outbox is locked.
func (w *Writer) Newest() position.Mark { return w.pos.Anchor.Newest() }

// WasLong says whether the last line had more than one record. It is that of a
// std stream. The outbox is locked.
func (w *Writer) WasLong(std uint8) bool { return w.long[std] }

// SentTwice counts a record that was dropped for that. The outbox is locked.
func (w *Writer) SentTwice() { w.count.doubles++ }

// BeginAt moves to where the capture begins.
func (w *Writer) BeginAt(ctx context.Context, p position.Position) error {
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

// ReportDamage counts and says that lines may be unreadable. The Engine cannot
// read them.
func (w *Writer) ReportDamage(ctx context.Context) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	w.mayBeHeadless()
	at := gapAt{w.pos.Anchor.Newest(), w.seen}
	again := w.damage != nil && *w.damage == at // found by a last look, and by the next run
	w.damage = &at
	w.out.Unlock()
	if again {
		return nil
	}
	w.metrics.Gaps.Inc()
	w.log.Error("gap: the log is damaged behind the last line that was delivered, lines that the Engine cannot read are lost")
	return nil
}
