package capture

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/supervise"
)

// openLog is a request for a log that the Engine has answered. Whoever has it
// closes it, whatever came of it: a body that is neither closed nor read to
// its end keeps a connection and two goroutines for ever.
type openLog struct {
	ctx   context.Context //nolint:containedctx // the request's; it lives as long as this
	cut   context.CancelCauseFunc
	body  io.ReadCloser
	asked time.Time
	limit int            // the tail that was asked for
	had   uint64         // records consumed then
	w     *decode.Window // what was read of it

	midway atomic.Bool // it is sent still what was stored when it was opened, or a part of a record
	capped bool        // it is as long as can be read of a damaged log
	first  bool        // w was filled before it was asked for
}

// request asks for a log in which target is to be found, from the limit-th record
// from its end on.
func (f *followReader) request(ctx context.Context, s *stream, follow bool, limit int, target *position.Position) (*openLog, error) {
	ctx, cut := context.WithCancelCause(ctx)
	late := time.AfterFunc(engine.CallTimeout, func() { cut(errStalled) })
	defer late.Stop()
	release, err := s.col.opens.acquire(ctx)
	if err != nil {
		cut(nil)
		return nil, err
	}
	defer release()
	asked, had := time.Now(), s.consumed()
	tail, since := f.span(s, limit, target)
	body, err := f.api.Logs(ctx, s.id, follow, tail, since)
	if err != nil {
		err = engine.Cause(ctx, err)
		cut(nil)
		return nil, err
	}
	return &openLog{ctx: ctx, cut: cut, body: body, asked: asked, limit: limit, had: had, w: s.window()}, nil
}

// localKeepsEndsFrom is the first API version whose local driver keeps the
// newline of a line that it stores in partials (Engine 23).
const localKeepsEndsFrom = "1.42"

// window makes one for a log of the stream that is being opened.
func (s *stream) window() *decode.Window {
	c := s.container()
	if !c.TTY {
		w := decode.NewWindow(nil, s.rough.Load())
		w.Pieces = s.col.api.IsPodman()
		return w
	}
	ahead := s.col.ahead.Load()
	tty := &decode.TTY{
		Loose: c.Driver == "local" && s.col.api.OlderThan(localKeepsEndsFrom),
		Now:   func() int64 { return time.Now().UnixNano() + ahead },
	}
	if c.Running && c.StartedAt != 0 {
		tty.From, tty.To = c.StartedAt, c.SeenAt+ahead-decode.ClockSlack
	}
	return decode.NewWindow(tty, s.rough.Load())
}

// clockSlack is by how much a record may be older, in seconds, than the moment at
// which it was not there yet.
const clockSlack = 2

// span is what to ask for so that target is found: the tail, and where that is
// position.ByTime the time: a tail of Podman's is no end of its log, because it
// joins the pieces of a long line to the line before. What was written since the
// log was last heard of is asked for whatever the clock did meanwhile; one that was
// set back before that leaves nothing to go by.
func (f *followReader) span(s *stream, limit int, target *position.Position) (tail int, since int64) {
	if limit < position.ByTime || limit == position.Everything {
		return limit, 0
	}
	since = target.Since()
	now := s.col.engineNow()
	if since == 0 || now/int64(time.Second) < since {
		return position.Everything, 0
	}
	if heard := time.Duration(s.heard.Load()); heard > 0 {
		unheard := now - int64(supervise.SinceStart()-heard)
		since = min(since, unheard/int64(time.Second)-clockSlack)
	}
	return position.ByTime, max(1, since)
}

// close may be called more than once.
func (l *openLog) close() {
	if l.w == nil {
		return
	}
	_ = l.body.Close() // whatever it says, nothing more is read
	l.cut(nil)         // not before: the connection may be of use again
	l.w.Free()
	l.w = nil
}

// fill reads once into the window, unless that was done already.
func (l *openLog) fill() (int, error) {
	if l.first {
		l.first = false
		return l.w.Rest(), nil
	}
	return l.w.Fill(l.body)
}

// await reads once, ahead of the first fill: then the Engine has opened the
// log, and will send it to its end even if the container is removed.
func (l *openLog) await() error {
	n, err := l.w.Fill(l.body)
	l.first = n > 0
	if n > 0 && errors.Is(err, io.EOF) {
		return nil // the next read says it again
	}
	return engine.Cause(l.ctx, err)
}

func (f *followReader) setOpen(l *openLog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = l
}

// takeNext is what a rotation has opened, nil if there is nothing.
func (f *followReader) takeNext() *openLog {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.next
	f.next = nil
	return l
}

// opened says whether a rotation has opened the log again.
func (f *followReader) opened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next != nil
}

// setNext has l take the place of what is open of the log.
func (f *followReader) setNext(l *openLog) {
	if f.next != nil {
		f.next.close()
	}
	f.next = l
}

func (f *followReader) dropNext() {
	if l := f.takeNext(); l != nil {
		l.close()
	}
}

// rotate implements openReader.
func (f *followReader) rotate(ctx context.Context, s *stream) error {
	if open := f.current(); open != nil && !f.atRest(ctx, open) {
		return errMidway // it would begin again, and again
	}
	next, err := f.openNext(ctx, s)
	if err != nil {
		return err
	}
	f.mu.Lock()
	open := f.open
	if open == nil { // it has ended meanwhile
		f.mu.Unlock()
		if next != nil {
			next.close()
		}
		return nil
	}
	begins := int64(decode.Undated)
	if next != nil {
		begins = next.w.FirstTime()
	}
	f.setNext(next)
	f.mu.Unlock()
	if f.reach(ctx, s, open, begins) {
		open.cut(errRotated)
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == next {
		f.next = nil
		next.close()
	}
	return errLags
}

// errMidway is why what is open of a log stays so: it is being sent.
var errMidway = errors.New("what is open is sent a record, or what was stored, all the time")

// restStep is how often it is looked whether a log has come to the end of a record.
const restStep = 20 * time.Millisecond

// atRest waits a moment for what is open of the log to be behind what was stored,
// and at the end of a record. A busy stream is, between two of its reads.
func (f *followReader) atRest(ctx context.Context, open *openLog) bool {
	for left := turnTime; open.midway.Load() && f.current() == open; left -= restStep {
		if left <= 0 || !supervise.Sleep(ctx, restStep) {
			return false
		}
	}
	return true
}

// errLags is why what is open of a log stays so: what it has still to send is not
// in the log any more.
var errLags = errors.New("what is open has not come to where the log begins")

const (
	turnStep = 200 * time.Millisecond
	turnTime = 2 * time.Second
)

// reach waits for what is open of the log to be read up to where the next
// opening begins: what lies between may be gone from the log, and who has it open
// still is sent it. Where nothing comes any more, that was all.
func (f *followReader) reach(ctx context.Context, s *stream, open *openLog, begins int64) bool {
	for left, before := turnTime, s.consumed(); ; left -= turnStep {
		target := s.position()
		if begins == decode.Undated || target.Anchor.Time() >= begins || f.current() != open {
			return true
		}
		if !supervise.Sleep(ctx, turnStep) {
			return true
		}
		n := s.consumed()
		if n == before {
			return true
		}
		if left <= 0 {
			return false
		}
		before = n
	}
}

// current is what is open of the log, nil if nothing is.
func (f *followReader) current() *openLog {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// A rotation reads the records of the last turnTail again, at least firstTail
// and at most maxTurnTail of them: what the stream may lag behind.
const (
	turnTail    = 250 * time.Millisecond
	maxTurnTail = 4096
)

// openNext opens the log a second time; nil where no record was delivered yet,
// since then there is none to be found again.
func (f *followReader) openNext(ctx context.Context, s *stream) (*openLog, error) {
	if s.position().Kind != position.FromAnchor {
		return nil, nil
	}
	tail, capped := f.readable(s, min(position.FirstTail+f.rate.since(s, turnTail), maxTurnTail))
	target := s.position()
	next, err := f.request(ctx, s, true, tail, &target)
	if err != nil {
		return nil, err
	}
	next.capped = capped
	late := time.AfterFunc(engine.ProbeTimeout, func() { next.cut(errStalled) })
	defer late.Stop()
	if err := next.await(); err != nil {
		next.close()
		return nil, err
	}
	return next, nil
}

// rateMeter knows how many records a stream has had of late.
type rateMeter struct {
	seen uint64
	at   time.Time
}

// since is how many records the stream has in a time, at the rate that it had
// since the last call; 0 at the first one.
func (m *rateMeter) since(s *stream, d time.Duration) int {
	now, seen := time.Now(), s.consumed()
	n := 0.0
	if !m.at.IsZero() {
		n = float64(seen-m.seen) * d.Seconds() / now.Sub(m.at).Seconds()
	}
	m.seen, m.at = seen, now
	return int(min(n, 1e9))
}

// A log that the Engine replaces within turnover is compared with what was sent
// of it whenever a quarter of it was, or three quarters of a trail, but not more
// often than every compareEvery. One that it replaces within minTurnover is only
// followed: to compare it would be to lag behind it, and to lose what would have
// been sent.
const (
	turnover     = 30 * time.Second
	minTurnover  = 5 * time.Second
	compareEvery = 100 * time.Millisecond
)

// compareDue says whether what was sent is to be compared with the log now.
func (f *followReader) compareDue(s *stream) bool {
	keeps := s.logKeeps.Load()
	if keeps == 0 {
		return false
	}
	f.measure(s, keeps)
	if int64(f.trail.Bytes) < keeps/4 && f.trail.Unconfirmed() < position.TrailLength*3/4 {
		return false
	}
	now := time.Now()
	since := now.Sub(f.compared)
	if since < compareEvery {
		return false
	}
	rate, first := float64(f.trail.Bytes)/since.Seconds(), f.compared.IsZero()
	f.compared = now
	if first || float64(keeps)/rate > turnover.Seconds() || f.outrun() {
		f.trail.Bytes = 0
		return false
	}
	return true
}

// measure looks, whenever a quarter of the log was sent, how fast it is replaced.
func (f *followReader) measure(s *stream, keeps int64) {
	came := f.came - f.measuredC
	if came < keeps/4 {
		return
	}
	now := time.Now()
	since := now.Sub(f.measured)
	if since < compareEvery {
		return
	}
	first := f.measured.IsZero()
	f.measured, f.measuredC = now, f.came
	if f.outruns = !first && float64(keeps)*since.Seconds() < minTurnover.Seconds()*float64(came); f.outruns {
		s.outrunAt.Store(now.UnixNano())
		s.sayOutrun()
	}
}

// sayOutrun says, once, that what the Engine leaves out of the log cannot be
// found, because it is not in the log any more when that is read.
func (s *stream) sayOutrun() {
	s.notes.sayOnce(&s.notes.saidOutrun, func() {
		s.log.Warn("the Engine replaces this log so fast that what it leaves out cannot be found", "bytes", s.logKeeps.Load())
	})
}

// outrunShown is for how long after that a stream counts as one whose log is
// replaced too fast to be compared.
const outrunShown = time.Minute

// outrunStreams is how many those are.
func (c *Collector) outrunStreams() (n int) {
	for _, s := range c.running() {
		if at := s.outrunAt.Load(); at > 0 && time.Since(time.Unix(0, at)) < outrunShown {
			n++
		}
	}
	return n
}

// outrun says whether the log is replaced within minTurnover at present.
func (f *followReader) outrun() bool { return f.outruns && time.Since(f.measured) < minTurnover }

// mayDoubt says whether the log is to be asked what it holds before a record:
// where the Engine rotates it, and not too often.
func (f *followReader) mayDoubt(s *stream) bool {
	now := time.Now()
	if s.logKeeps.Load() == 0 || now.Sub(f.doubted) < compareEvery || f.outrun() {
		return false
	}
	f.doubted = now
	return true
}

// openAnother opens the log again before what is open of it is closed. It fails
// with errLags where it would begin behind the position.
func (f *followReader) openAnother(ctx context.Context, s *stream) error {
	next, err := f.openNext(ctx, s)
	switch at := s.position(); {
	case err != nil:
		return err
	case next == nil:
		return errLags
	case next.w.FirstTime() > at.Anchor.Time():
		next.close()
		return errLags
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setNext(next)
	return nil
}

// behind implements openReader: it asks for the last record.
func (f *followReader) behind(ctx context.Context, s *stream) (behind bool, err error) {
	target := s.position()
	err = f.atEnd(ctx, s, func(e *decode.Entry) { behind = target.Before(e) })
	return behind, err
}

// endTail is how many records back the end of a terminal's log is asked for: what
// was taken for one record, because it had no end, is cut like that again.
const endTail = 4

// atEnd calls each for the last records of the log, the last one last.
func (f *followReader) atEnd(ctx context.Context, s *stream, each func(*decode.Entry)) error {
	tail := 1
	if s.container().TTY {
		tail = endTail
	}
	if f.api.IsPodman() {
		tail = position.ByTime
	}
	target := s.position()
	log, err := f.request(ctx, s, false, tail, &target)
	if err != nil {
		return err
	}
	defer log.close()
	late := time.AfterFunc(engine.CallTimeout, func() { log.cut(errStalled) })
	defer late.Stop()
	log.w.Expect(&target.Anchor)
	for eof := false; !eof; {
		_, err := log.w.Fill(log.body)
		if eof = errors.Is(err, io.EOF); err != nil && !eof {
			return engine.Cause(log.ctx, err)
		}
		if err := log.w.Each(eof, func(e *decode.Entry) error { each(e); return nil }); err != nil {
			return err
		}
	}
	return nil
}
