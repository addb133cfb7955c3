package api

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/supervise"
)

// Shared is what the readers of all logs have in common.
type Shared struct {
	Client  *engine.Client
	Opens   supervise.Semaphore // held while a log is opened
	Pollers *Pool
	Ahead   *atomic.Int64      // by how many nanoseconds the Engine's clock is ahead of ours
	Late    prometheus.Counter // records that were delivered late
	Gaps    prometheus.Counter // times that lines were lost
	Options
}

// Options are those that say how often a log is asked for.
type Options struct {
	PollMin, PollMax time.Duration // between two polls
	ActiveRate       float64       // records per second from which on a log is to be followed
	Rotate           time.Duration // between two looks whether the log can be read from its file
	Heartbeat        time.Duration // between two looks whether a log without news is damaged
}

// now is the time by the Engine's clock.
func (c *Shared) now() int64 { return time.Now().UnixNano() + c.Ahead.Load() }

// Host is a stream as readers of the API see it.
type Host interface {
	reader.Host
	// CutOff says that what is written from now on may be lost.
	CutOff()
	// Asks says since when a poll is under way. Zero: none is.
	Asks(since time.Time)
	// PolledAt says as of when the log was read to its end.
	PolledAt(t time.Time)
	// FileAppeared says whether the log can be read from its file.
	FileAppeared() bool
	// WakesUp says whether a log with that rate is to be followed. It is in records per
	// second.
	WakesUp(rate float64) bool
}

// Memory is what one run of a stream leaves to the next.
type Memory struct {
	keeps  atomic.Int64 // bytes of the log that the Engine keeps, 0: all
	heard  atomic.Int64 // when it was last read to its end, or sent, on the clock of SinceStart; 0: never
	part   atomic.Int64 // since when a part of a record is there that a follow is sent, on that clock; 0: none is
	outrun atomic.Int64 // when it was last seen to be replaced too fast to be compared, nanoseconds since 1970; 0: never
	rough  atomic.Bool  // what is no frame is left out of the present read

	mu    sync.Mutex
	trail position.Trail // of the run before, if there is something to be compared still; guarded by mu
}

// Keeps says how many bytes of the log the Engine keeps. 0 says that it keeps
// all.
func (m *Memory) Keeps(bytes int64) { m.keeps.Store(bytes) }

// Rough says whether the next read leaves out what is no frame.
func (m *Memory) Rough(is bool) { m.rough.Store(is) }

// heardAt notes when the log was last read to its end, or sent.
func (m *Memory) heardAt(t time.Time) {
	m.heard.Store(int64(supervise.SinceStart() - time.Since(t)))
}

// hears says that the Engine sends something. A follow does so for each line.
func (m *Memory) hears() { m.heard.Store(int64(supervise.SinceStart())) }

// sentPart says whether a part of a record is there, and whether whole ones came
// before it.
func (m *Memory) sentPart(part, moved bool) {
	switch {
	case !part:
		m.part.Store(0)
	case moved || m.part.Load() == 0:
		m.part.Store(int64(supervise.SinceStart()))
	}
}

// PartFor is how long a part of a record has been there. It is 0 if none is.
func (m *Memory) PartFor() time.Duration {
	since := m.part.Load()
	if since == 0 {
		return 0
	}
	return supervise.SinceStart() - time.Duration(since)
}

// outrunShown is for how long after that a log counts as one that is replaced too
// fast to be compared.
const outrunShown = time.Minute

// IsOutrun says whether the log is replaced too fast to be compared. It says so for a
// while after it was seen.
func (m *Memory) IsOutrun() bool {
	at := m.outrun.Load()
	return at > 0 && time.Since(time.Unix(0, at)) < outrunShown
}

// takeTrail is what the run before has left that was not compared with the log.
func (m *Memory) takeTrail() (t position.Trail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, m.trail = m.trail, position.Trail{}
	return t
}

// leave leaves a trail to the next run. Of records without a time others may be
// equal, further back: then less is looked at.
func (m *Memory) leave(t position.Trail) {
	if end := t.End(); t.Unconfirmed() == 0 || end.Time() == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trail = t
}
