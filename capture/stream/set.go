package stream

import (
	"context"
	"log/slog"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/status"
)

// Set is the streams of all containers, as others see them.
type Set struct{ tasks *tasks }

// New makes one without streams. Close it in the end.
func New(o Options, log *slog.Logger) *Set {
	all := newShared(o, log)
	t := newTasks(all)
	all.turns = newRotationLog(o.Rotate, o.RotationLogLevel, log, t.runningCount)
	return &Set{t}
}

// Begin comes before the first stream runs, end after the last one.
// watch says whether the kernel is to tell of what is written to log files.
func (s *Set) Begin(watch bool) (end func()) {
	stop := func() {}
	if watch {
		stop = s.tasks.files.Watch()
	}
	return func() {
		s.tasks.ofAPI.Pollers.Wait()
		stop()
	}
}

// Close frees what New took, when the outbox is closed.
// It says which lines of removed containers nobody can read again.
func (s *Set) Close() {
	s.tasks.sayUntaken()
	s.tasks.lines.Close()
}

// During is the set for discovery; streams run until ctx is done.
func (s *Set) During(ctx context.Context) discovery.Streams {
	return &discovered{
		tasks: s.tasks,
		begin: func(c *container.Container, inspected bool) { s.tasks.start(ctx, c, inspected) },
		again: func(id string) bool { return s.tasks.look(ctx, id) },
	}
}

// Missed counts and says that a container without a stream was removed.
func (s *Set) Missed(c *container.Container) {
	s.tasks.reportMissed(s.tasks.log.With("container", c.Name, "id", container.ShortID(c.ID)), c)
}

// Guarded is the set for the guard of descriptors. It is used on the guard's task alone.
func (s *Set) Guarded() fdguard.Streams { return &parking{tasks: s.tasks} }

// OpenFiles is how many log files are open.
func (s *Set) OpenFiles() int { return int(s.tasks.files.Open.Load()) }

// Watches is how many descriptors watch log files.
func (s *Set) Watches() int {
	if s.tasks.files.Watches() {
		return 1
	}
	return 0
}

// Content is what is to be saved, nil if nothing changed.
func (s *Set) Content() *checkpoint.Content { return saving{s.tasks}.content() }

// Commits are the positions that were committed since the last time.
func (s *Set) Commits() []checkpoint.Commit { return saving{s.tasks}.commits() }

// View tells how each stream is, in no order.
func (s *Set) View() []status.Stream { return overview{s.tasks}.view() }

// Lines are the lines of each stream, by container.
func (s *Set) Lines(yield func(id string, lines uint64) bool) { overview{s.tasks}.lines(yield) }

// GreatestLag is that of the stream that lags most, in seconds.
func (s *Set) GreatestLag() float64 { return overview{s.tasks}.greatestLag() }
