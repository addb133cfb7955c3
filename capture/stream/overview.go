package stream

import (
	"time"

	"fluent-bit-docker-logs/capture/status"
)

// overview tells how the streams of a set are.
type overview struct{ *tasks }

// removedShown is how long a stream is shown after its container was removed,
// so that those who look now and then see how it ended.
const removedShown = time.Minute

// view tells how each stream is, in no order.
func (c overview) view() []status.Stream {
	type entry struct {
		s     *stream
		state string // "": it runs
		since time.Time
	}
	c.mu.Lock()
	list := make([]entry, 0, len(c.byID))
	for _, t := range c.byID {
		e := entry{s: t.stream}
		switch {
		case t.dead:
			e.state, e.since = status.Unreadable, t.ranTo
		case t.cancel != nil:
		case !t.gone:
			e.state, e.since = status.Stopped, t.ranTo
		case time.Since(t.goneAt) > removedShown:
			continue
		default:
			e.state, e.since = status.Removed, t.goneAt
		}
		list = append(list, e)
	}
	c.mu.Unlock()

	all := make([]status.Stream, 0, len(list))
	for _, e := range list {
		st := e.s.status(e.state)
		if e.state != "" {
			st.Since = status.Moment(e.since)
		}
		all = append(all, st)
	}
	return all
}

// lines are the lines of each stream, by container.
func (c overview) lines(yield func(id string, lines uint64) bool) {
	c.mu.Lock()
	streams := make([]*stream, 0, len(c.byID))
	for _, t := range c.byID {
		streams = append(streams, t.stream)
	}
	c.mu.Unlock()
	for _, s := range streams {
		if n, _, _ := s.Progress(); !yield(s.id, n) {
			return
		}
	}
}

// greatestLag is the lag of the stream that lags most. It is asked for once a
// second, so it leaves no table of all streams behind.
func (c overview) greatestLag() (most float64) {
	for _, s := range c.running() {
		most = max(most, s.status("").Lag)
	}
	return most
}
