package stream

import (
	"time"

	"fluent-bit-docker-logs/capture/status"
)

// status tells how the stream is; state is its state if it does not run.
func (s *stream) status(state string) status.Stream {
	now := time.Now()
	st := status.Stream{ID: s.id, Reader: status.NoReader, State: state, Runs: state == ""}
	if reader := s.notes.now(); st.Runs && reader != "" {
		st.Reader = reader
	}
	lines, movedAt, last := s.Progress()
	st.Lines = lines
	s.meta.Lock()
	st.Name, st.Rotations, st.Ages = s.ctr.Name, s.turns, s.ages
	st.Lived = now.Add(time.Duration(s.all.Store.Ahead().Load())).Sub(time.Unix(0, s.ctr.Created))
	doing, since, synced, opening, asking, polled, took := s.doing, s.doingSince, s.synced, s.opening, s.asking, s.lastPoll, s.pollTook
	failing, retryAt := s.failingFor(movedAt), s.retryAt
	s.meta.Unlock()
	if last != 0 {
		at := time.Unix(0, last).UTC()
		st.Position = &at
		last -= s.all.Store.Ahead().Load()
	}
	st.LastError, st.LastErrorAt = s.last.Get()
	if !st.Runs {
		return st
	}
	st.State, st.Since = doing, status.Moment(since)
	st.Outrun, st.FailsFor = s.ofAPI.IsOutrun(), failing
	if st.Fails = failing > 0 || doing == status.Retrying; failing > 0 {
		st.Since = status.Moment(now.Add(-failing))
	}
	if doing == status.Retrying {
		st.NextTry = status.Moment(retryAt)
	}
	if polled.IsZero() {
		polled = opening
	}
	waits, part := failing, time.Duration(0)
	switch {
	case doing != status.Reading:
	case st.Reader == Poll && (took > atRest || !asking.IsZero() && now.Sub(asking) > atRest):
		waits = max(waits, now.Sub(polled)) // what was written since the last one began is not known
	case !synced.IsZero():
		st.Age = now.Sub(synced).Seconds()
		part = s.ofAPI.PartFor() // a record that is sent slowly
		waits = max(waits, part)
	case st.Reader != Poll:
		st.State = status.Opening
		waits = max(waits, min(now.Sub(opening), now.Sub(movedAt)))
	}
	st.Lag = max(lag(now, movedAt, last, doing, since, part > 0), waits.Seconds())
	return st
}

// atRest is how long a stream that could deliver has delivered nothing when it
// is taken to have read all there is.
const atRest = 2 * time.Second

// lag is how long the oldest line that was not read yet may have waited. last
// is the timestamp of the last record, by our clock; the stream delivered it at
// movedAt and has been doing what it does since then. comes says that a part of the
// next record was sent.
//
// A stream that reads knows of nothing unread but by what comes next. So it
// lags as far as its last record did, and not at all when it has come to rest.
// What keeps a stream from reading adds the time that it has lasted, and so
// does the search for its position.
func lag(now, movedAt time.Time, last int64, doing string, since time.Time, comes bool) float64 {
	until := now
	if doing != status.Reading {
		until = since
	}
	behind := now.Sub(until)
	if !movedAt.IsZero() && last != 0 && (comes || until.Sub(movedAt) < atRest) {
		behind += movedAt.Sub(time.Unix(0, last))
	}
	return max(0, behind).Seconds()
}
