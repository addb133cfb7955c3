package capture

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
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
	writer
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
	s.setUp(col.lines, s, s.log, s.reading, pos)
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
	s.writer.describe(c)
	if old != nil && old.Name == c.Name && old.Image == c.Image && maps.Equal(old.Attrs, c.Attrs) {
		return
	}
	tmpl := newRecordTemplate(s.col.cfg, c, s.col.host)
	s.sayMet(tmpl.met)
	s.heed(c)
	s.makes(expandTag(s.col.cfg.TagTemplate, c, s.col.host), tmpl)
}

// lookAgain makes the stream inspect its container soon.
func (s *stream) lookAgain() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

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
	if s.gapBehind(a) {
		return errMoved
	}
	return errNotInView
}

// reading tells the writer how the log is being read.
func (s *stream) reading() (r course) {
	r.Polls = s.notes.now() == readerPoll
	_, r.Runs = s.col.present(s.id)
	s.meta.Lock()
	r.Follows, r.Since, r.Polled = s.doing == streamReading && !s.synced.IsZero(), s.doingSince, s.asked
	if s.lastPoll.IsZero() || !s.asking.IsZero() {
		r.Polled = time.Time{}
	}
	s.meta.Unlock()
	r.Replaced = s.col.captured(s.id) != s
	return r
}
