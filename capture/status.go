package capture

import (
	"cmp"
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/supervise"
)

// What a stream is doing.
const (
	streamWaiting    = "waiting"    // for an Engine that answers
	streamOpening    = "opening"    // looks for its position in the log
	streamReading    = "reading"    // or waits for the container to write
	streamBlocked    = "blocked"    // Fluent Bit takes nothing
	streamRetrying   = "retrying"   // reading failed
	streamStopped    = "stopped"    // as its container
	streamRemoved    = "removed"    // as its container
	streamUnreadable = "unreadable" // for good
)

// readerNone stands for a stream that does not run, or has not chosen yet.
const readerNone = "none"

// StreamStatus is how the capture of one container is at a moment.
type StreamStatus struct {
	Instance    string     `json:"instance"`
	ID          string     `json:"container_id"` // 64 hex digits
	Name        string     `json:"container_name"`
	Reader      string     `json:"reader"` // file, follow, poll, or none while it does not run
	State       string     `json:"state"`
	Position    *time.Time `json:"position"`    // the Engine's timestamp of the last record read; null before the first
	Lag         float64    `json:"lag_seconds"` // how long the oldest line that was not read yet may have waited, 0 if there is none
	Age         float64    `json:"age_seconds"` // since the log was opened last, 0 while it is not open
	Rotations   uint64     `json:"rotations"`
	Lines       uint64     `json:"lines"`
	LastError   string     `json:"last_error"`
	LastErrorAt *time.Time `json:"last_error_at"`
	Since       *time.Time `json:"since"`    // that reading fails, else that the state lasts
	NextTry     *time.Time `json:"next_try"` // to read it, while that fails; null while that is tried

	runs  bool
	fails bool          // reading does, also while it is tried again
	lived time.Duration // since its container was created
	ages  float64       // seconds, at its rotations in all
}

// removedShown is how long a stream is shown after its container was removed,
// so that those who look now and then see how it ended.
const removedShown = time.Minute

// Streams tells how each stream is, by name.
func (c *Collector) Streams() []StreamStatus {
	type entry struct {
		s     *stream
		state string // "": it runs
		since time.Time
	}
	c.mu.Lock()
	list := make([]entry, 0, len(c.streams.byID))
	for _, t := range c.streams.byID {
		e := entry{s: t.stream}
		switch {
		case t.dead:
			e.state, e.since = streamUnreadable, t.ranTo
		case t.cancel != nil:
		case !t.gone:
			e.state, e.since = streamStopped, t.ranTo
		case time.Since(t.goneAt) > removedShown:
			continue
		default:
			e.state, e.since = streamRemoved, t.goneAt
		}
		list = append(list, e)
	}
	c.mu.Unlock()

	all := make([]StreamStatus, 0, len(list))
	for _, e := range list {
		st := e.s.status(e.state)
		if e.state != "" {
			st.Since = moment(e.since)
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b StreamStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// status tells how the stream is; state is its state if it does not run.
func (s *stream) status(state string) StreamStatus {
	now := time.Now()
	st := StreamStatus{ID: s.id, Reader: readerNone, State: state, runs: state == ""}
	if reader := s.notes.now(); st.runs && reader != "" {
		st.Reader = reader
	}
	lines, movedAt, last := s.progress()
	st.Lines = lines
	s.meta.Lock()
	st.Name, st.Rotations, st.ages = s.ctr.Name, s.turns, s.ages
	st.lived = now.Add(time.Duration(s.col.ahead.Load())).Sub(time.Unix(0, s.ctr.Created))
	doing, since, synced, opening, asking := s.doing, s.doingSince, s.synced, s.opening, s.asking
	failing, retryAt := s.failingFor(movedAt), s.retryAt
	s.meta.Unlock()
	if last != 0 {
		at := time.Unix(0, last).UTC()
		st.Position = &at
		last -= s.col.ahead.Load()
	}
	st.LastError, st.LastErrorAt = s.last.Get()
	if !st.runs {
		return st
	}
	st.State, st.Since = doing, moment(since)
	if st.fails = failing > 0 || doing == streamRetrying; failing > 0 {
		st.Since = moment(now.Add(-failing))
	}
	if doing == streamRetrying {
		st.NextTry = moment(retryAt)
	}
	waits := failing
	switch {
	case doing != streamReading:
	case st.Reader == readerPoll && !asking.IsZero():
		waits = max(waits, now.Sub(asking)) // an answer that takes so long
	case !synced.IsZero():
		st.Age = now.Sub(synced).Seconds()
		if part := s.partSince.Load(); part != 0 { // a record that is sent slowly
			waits = max(waits, supervise.SinceStart()-time.Duration(part))
		}
	case st.Reader != readerPoll:
		st.State = streamOpening
		waits = max(waits, min(now.Sub(opening), now.Sub(movedAt)))
	}
	st.Lag = max(lag(now, movedAt, last, doing, since), waits.Seconds())
	return st
}

// moment is t in UTC, nil if it is zero.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// atRest is how long a stream that could deliver has delivered nothing when it
// is taken to have read all there is.
const atRest = 2 * time.Second

// lag is how long the oldest line that was not read yet may have waited. last
// is the timestamp of the last record, by our clock; the stream delivered it at
// movedAt and has been doing what it does since then.
//
// A stream that reads knows of nothing unread but by what comes next. So it
// lags as far as its last record did, and not at all when it has come to rest.
// What keeps a stream from reading adds the time that it has lasted, and so
// does the search for its position.
func lag(now, movedAt time.Time, last int64, doing string, since time.Time) float64 {
	until := now
	if doing != streamReading {
		until = since
	}
	behind := now.Sub(until)
	if !movedAt.IsZero() && last != 0 && until.Sub(movedAt) < atRest {
		behind += movedAt.Sub(time.Unix(0, last))
	}
	return max(0, behind).Seconds()
}

// greatestLag is the lag of the stream that lags most. It is asked for once a
// second, so it leaves no table of all streams behind.
func (c *Collector) greatestLag() (most float64) {
	for _, s := range c.running() {
		most = max(most, s.status("").Lag)
	}
	return most
}

// linesSoFar are the lines of each stream, by container, and of all under
// [page.AllLines].
func (c *Collector) linesSoFar(yield func(id string, lines uint64) bool) {
	if !yield(page.AllLines, uint64(valueOf(c.metrics.lines))) {
		return
	}
	c.mu.Lock()
	streams := make([]*stream, 0, len(c.streams.byID))
	for _, t := range c.streams.byID {
		streams = append(streams, t.stream)
	}
	c.mu.Unlock()
	for _, s := range streams {
		if n, _, _ := s.progress(); !yield(s.id, n) {
			return
		}
	}
}

// byReader counts the streams that run, by reader.
func (c *Collector) byReader() map[string]int {
	n := make(map[string]int)
	for _, s := range c.running() {
		n[cmp.Or(s.notes.now(), readerNone)]++
	}
	return n
}
