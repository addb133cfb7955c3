package streams

import (
	"context"
	"fmt"
	"sync"

	"fluent-bit-docker-logs/capture/dockertest/store"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Streams is the log streams of one container, or of all.
// They can be watched, and much can be done to them.
type Streams struct {
	*Orders // for those to come

	logs    func() []*store.Log
	id      string   // of the container, "": all
	above   *Streams // those of all, nil: these are
	queries *Queries
	changes *wait.Changes

	mu              sync.Mutex
	open, following int // the number of open log requests, and of those that follow
}

// OfAll are those of the logs, whatever these are at the moment. They tell changes of each that begins, ends, or was sent all.
func OfAll(logs func() []*store.Log, queries *Queries, changes *wait.Changes) *Streams {
	return &Streams{Orders: &Orders{}, logs: logs, queries: queries, changes: changes}
}

// OfOne are those of one of the containers whose are all.
func OfOne(id string, log *store.Log, all *Streams) *Streams {
	logs := func() []*store.Log { return []*store.Log{log} }
	return &Streams{Orders: &Orders{}, logs: logs, id: id, above: all, queries: all.queries, changes: all.changes}
}

// Followers is the number of open log requests.
func (s *Streams) Followers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// count takes note of requests that began, or ended, here and above.
func (s *Streams) count(n int, follow bool) {
	for ; s != nil; s = s.above {
		s.mu.Lock()
		if s.open += n; follow {
			s.following += n
		}
		s.mu.Unlock()
	}
}

// WaitFollowers waits until n log requests that follow are open. For none it waits until no other is open either.
func (s *Streams) WaitFollowers(ctx context.Context, n int) error {
	return s.changes.Until(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.following != n || n == 0 && s.open != 0 {
			return fmt.Errorf("%d log requests are open, %d of them follow, not %d", s.open, s.following, n)
		}
		return nil
	})
}

// WaitSent waits until every open log request was sent all. Those that are silent or ended do not count.
func (s *Streams) WaitSent(ctx context.Context) error {
	return s.changes.Until(ctx, func() (err error) {
		s.each(func(f store.Followers) {
			if e := f.Unsent(); e != nil {
				err = e
			}
		})
		return err
	})
}

// CutFollowers breaks every open log request. That is an unexpected EOF, or a reset over TCP.
func (s *Streams) CutFollowers() { s.each(store.Followers.Cut) }

// EndFollowers ends every open log request with a clean EOF.
// It comes behind what is stored, although the container runs.
func (s *Streams) EndFollowers() { s.each(store.Followers.End) }

// Silence makes every open log request go silent for good.
// So do the next n new ones: connected, but nothing is sent any more.
func (s *Streams) Silence(n int) {
	s.silence(n)
	s.each(store.Followers.Silence)
	s.changes.Wake()
}

// SkipFollowers makes requests that follow leave out the next n records.
// They are those to be stored, as Engines from 23 on do that are outrun by
// a log rotation.
func (s *Streams) SkipFollowers(n int) { s.each(func(f store.Followers) { f.Skip(n) }) }

// Inject sends raw bytes into every open log request.
// They come between two frames: garbage, a header that promises too much, the start of a frame.
func (s *Streams) Inject(raw []byte) { s.each(func(f store.Followers) { f.Inject(raw) }) }

// SystemErr sends what a failure to read a log sends.
// It is "Error grabbing logs: text" as a systemerr frame, or as it is on a TTY. The stream stays open.
func (s *Streams) SystemErr(text string) {
	line := []byte("Error grabbing logs: " + text + "\n")
	s.each(func(f store.Followers) { f.SystemErr(line) })
}

// ReplayFollowers sends the last n records again to requests that follow.
// It is what Engine 20.10 does at a log rotation.
func (s *Streams) ReplayFollowers(n int) { s.each(func(f store.Followers) { f.Replay(n) }) }

// LogQueries returns the log requests that were made, oldest first. Of very many only the last are kept.
func (s *Streams) LogQueries() []LogQuery { return s.queries.of(s.id) }

// each runs do on the open log requests of every log.
func (s *Streams) each(do func(store.Followers)) {
	for _, log := range s.logs() {
		do(log.Followers())
	}
}
