package stream

import (
	"context"
	"errors"
	"time"

	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/reader/file"
	"fluent-bit-docker-logs/capture/supervise"
)

// readers are the ways in which one run of a stream reads.
type readers struct {
	file   *file.Reader
	follow *api.Follow
	poll   *api.Poll
}

func newReaders(s *stream) *readers {
	log := s.readerLog()
	follow := api.NewFollow(log, host{s}, s.all.ofAPI, &s.ofAPI)
	return &readers{
		file:   file.New(log, host{s}, s.all.files, &s.ofFile),
		follow: follow,
		poll:   api.NewPoll(follow),
	}
}

// readBy reads the log in the way that the option Reader and the container
// allow, and how much it writes asks for. The position is the same in all ways.
func (s *stream) readBy(ctx context.Context, r *readers, follow bool) error {
	choice := s.all.Reader
	if choice == Auto || choice == File {
		err := s.readFile(ctx, r.file, follow)
		if !errors.Is(err, reader.ErrNoFile) || choice == File {
			return err
		}
		// As tryFile: thousands of streams come here, once, and then only wait.
		_ = supervise.Apart(func() error { s.notes.sayAPI(s.log, err); return nil })
	}
	if p := s.Position(); p.ToBegin() {
		if err := supervise.Apart(func() error { return r.follow.Begin(ctx) }); err != nil {
			return err
		}
	}
	switch {
	case !follow:
		err := r.follow.Read(ctx, false)
		if err == nil {
			s.polledAt(time.Time{})
		}
		return err
	case choice == Poll || s.parked.Load() || r.follow.Slow():
	case choice == Follow, !s.quiet.Load() && s.all.slots.take(s, s.all.ActiveRate):
		s.notes.note(Follow)
		return s.readOpen(ctx, r.follow)
	}
	s.notes.note(Poll)
	return r.poll.Read(ctx, true)
}

// readFile has the log read from its file, to its end or as it is written.
func (s *stream) readFile(ctx context.Context, r *file.Reader, follow bool) error {
	if s.all.Reader == Auto {
		if s.parked.Load() {
			return errParked
		}
		// Most that have no file never will: they are not to pay for the deep
		// calls of the attempt as long as they live.
		if err := supervise.Apart(func() error { return s.tryFile(ctx) }); err != nil {
			return err
		}
	}
	if follow {
		return s.readOpen(ctx, r)
	}
	return r.Read(ctx, false)
}
