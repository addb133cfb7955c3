package stream

import (
	"context"
	"log/slog"
	"maps"
	"sync/atomic"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/reader/file"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

// stream is the capture of one container's log: its position, its incomplete
// lines, its way into the outbox. It outlives the runs of the container.
type stream struct {
	id      string
	all     *shared
	task    *supervise.Task // keeps it running
	log     *slog.Logger
	poke    chan struct{} // capacity 1: look at the container again now
	trouble say.Trouble
	last    say.LastError
	said    say.Once
	notes   readerNotes
	ofAPI   api.Memory
	ofFile  file.Memory
	standing
	lines.Writer
	parked atomic.Bool // the FD guard wants no log of it open
	quiet  atomic.Bool // it is polled until it writes more
	turned atomic.Bool // it was rotated before
	// fate says whether it runs, and whether another stream has taken its place; nil
	// without a set of streams.
	fate func() (runs, replaced bool)
}

// newStream makes the stream of a container that was just inspected.
func newStream(all *shared, c *container.Container, pos position.Position) *stream {
	s := &stream{
		id:      c.ID,
		all:     all,
		poke:    make(chan struct{}, 1),
		trouble: say.Trouble{What: "reading the log"},
	}
	s.log = s.last.Remember(all.log.With("container", c.Name, "id", container.ShortID(c.ID)))
	s.task = supervise.NewTask(TaskKind, s.log, nil)
	s.SetUp(all.lines, s, s.log, s.reading, pos)
	s.describe(c)
	return s
}

// describe takes over what is newly known of the container.
func (s *stream) describe(c *container.Container) {
	s.meta.Lock()
	old := s.ctr
	s.ctr = c
	s.meta.Unlock()
	s.ofAPI.Keeps(c.LogKeeps())
	s.all.Out.Lock()
	defer s.all.Out.Unlock()
	s.Writer.Describe(c)
	if old != nil && old.Name == c.Name && old.Image == c.Image && maps.Equal(old.Attrs, c.Attrs) {
		return
	}
	tmpl, met := record.NewTemplate(&s.all.Records, c)
	s.sayMet(met)
	s.heed(c)
	s.Make(s.all.Records.TagOf(c), tmpl)
}

// ask asks the Engine for the container, and takes over what is newly known of it.
func (s *stream) ask(ctx context.Context) (*container.Container, error) {
	c, err := s.all.Engine.Inspect(ctx, s.id)
	if err == nil {
		s.describe(c)
	}
	return c, err
}

// lookAgain makes the stream inspect its container soon.
func (s *stream) lookAgain() {
	supervise.Poke(s.poke)
}

// reading tells the writer how the log is being read.
func (s *stream) reading() (r lines.Course) {
	r.Polls = s.notes.now() == Poll
	if r.Replaced = true; s.fate != nil {
		r.Runs, r.Replaced = s.fate()
	}
	s.meta.Lock()
	r.Follows, r.Since = s.doing == status.Reading && !s.synced.IsZero(), s.doingSince
	if s.asking.IsZero() {
		r.Polled = s.lastPoll
	}
	s.meta.Unlock()
	return r
}

const oddLabel = "the value of a label of the container is not understood, it is as if it had none"

// heed takes over what the container's labels ask for, and says what of it is
// not understood. The outbox is locked.
func (s *stream) heed(c *container.Container) {
	multi := s.all.Multiline
	if v, ok := c.Labels[container.MultilineLabel]; ok {
		if of, err := lines.LanguagesOf(v); err != nil {
			s.log.Warn(oddLabel, "label", container.MultilineLabel, "value", v)
		} else {
			multi = of
		}
	}
	s.JoinTraces(multi)
	if v, ok := c.Labels[container.ExcludeLabel]; ok {
		if _, ok := container.BoolOf(v); !ok {
			s.log.Warn(oddLabel, "label", container.ExcludeLabel, "value", v)
		}
	}
}

// sayMet says once which labels have one key.
func (s *stream) sayMet(met []record.SameKey) {
	for _, m := range met {
		if s.all.said.met.Add(m.Key + " " + m.Second) {
			s.log.Warn("two labels, or attrs, of a container have the same record key: it has the value of the first", "key", m.Key, "first", m.First, "second", m.Second)
		}
	}
}
