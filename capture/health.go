package capture

import (
	"fmt"
	"runtime"
	"time"
)

// Health is how the capture of one instance is at a moment.
type Health struct {
	Instance string         `json:"instance"`
	Ready    bool           `json:"ready"`
	Problems []string       `json:"problems"` // why it is not ready, a sentence each
	Engine   EngineHealth   `json:"engine"`
	Streams  map[string]int `json:"streams"` // that run, by reader
	Tasks    TaskHealth     `json:"tasks"`
	FDs      FDs            `json:"file_descriptors"`
	Outbox   OutboxHealth   `json:"outbox"`
	Totals   Totals         `json:"totals"`

	Goroutines  int        `json:"goroutines"` // of the process
	Since       time.Time  `json:"since"`      // when the instance was made
	LastError   string     `json:"last_error"` // or warning, with the name of the container that it is of
	LastErrorAt *time.Time `json:"last_error_at"`

	// Problems that name containers, if there are any, and those that could not be
	// inspected.
	failing, notInspected string
	unanswered            []unansweredOne
}

// EngineHealth is what is known of the Engine.
type EngineHealth struct {
	Reachable bool       `json:"reachable"`
	Version   string     `json:"version"` // empty before the first connect, as API
	API       string     `json:"api"`
	Since     time.Time  `json:"since"`    // that it is reachable, or not
	NextTry   *time.Time `json:"next_try"` // to connect; null while it is reachable, and before the first try
	Error     string     `json:"error"`    // why the last try failed
}

// TaskHealth counts tasks.
type TaskHealth struct {
	Stalled    int                `json:"stalled"` // without a heartbeat for Task_Timeout
	Leaked     int                `json:"leaked"`  // did not return after they were cancelled
	Heartbeats map[string]float64 `json:"heartbeat_age_seconds"`
}

// OutboxHealth is what waits for Fluent Bit.
type OutboxHealth struct {
	Bytes       int    `json:"bytes"`
	Limit       int    `json:"limit"`
	Outstanding uint64 `json:"outstanding_records"`
}

// Health tells how the capture is.
func (c *Collector) Health() Health {
	h := Health{
		Problems:   []string{},
		Streams:    c.byReader(),
		FDs:        c.guard.count(),
		Outbox:     OutboxHealth{c.out.Size(), c.out.Limit, c.out.Outstanding()},
		Totals:     c.Totals(),
		Goroutines: runtime.NumGoroutine(),
		Since:      c.began.UTC(),
	}
	h.Engine.Reachable, _ = c.conn.Get()
	since, nextTry, why := c.conn.Since()
	h.Engine.Since, h.Engine.NextTry = since.UTC(), moment(nextTry)
	if why != nil {
		h.Engine.Error = why.Error()
	}
	if e := c.engine.Load(); e != nil {
		h.Engine.Version, h.Engine.API = e.Version, e.API
	}
	h.Tasks.Stalled, h.Tasks.Leaked = c.sup.State()
	h.Tasks.Heartbeats = make(map[string]float64)
	for kind, age := range c.heartbeatAges() {
		h.Tasks.Heartbeats[kind] = age.Seconds()
	}
	h.LastError, h.LastErrorAt = c.last.Get()
	c.diagnose(&h)
	return h
}

// unsavedTime is how long what DB holds may be out of date: many times the
// longest DB_Sync, and the pause after a save that takes long.
const unsavedTime = 15 * time.Minute

// noAnswer is what is wrong while there is no Engine.
const noAnswer = "the Engine does not answer"

// diagnose says what is wrong.
func (c *Collector) diagnose(h *Health) {
	problem := func(format string, args ...any) { h.Problems = append(h.Problems, fmt.Sprintf(format, args...)) }
	if !h.Engine.Reachable {
		problem(noAnswer)
	}
	if c.lists.Present() {
		problem("the Engine does not list its containers")
	}
	if h.unanswered = c.unanswered.all(); len(h.unanswered) > 0 {
		names := make([]string, 0, len(h.unanswered))
		for _, u := range h.unanswered {
			names = append(names, u.name)
		}
		problem("%d containers could not be inspected: %s", len(names), fewNames(names))
		h.notInspected = h.Problems[len(h.Problems)-1]
	}
	if h.Tasks.Stalled > 0 {
		problem("%d tasks are stalled", h.Tasks.Stalled)
	}
	if h.Tasks.Leaked > 0 {
		problem("%d tasks did not return and were left behind", h.Tasks.Leaked)
	}
	if h.FDs.err != nil {
		problem("the open file descriptors cannot be counted: %v", h.FDs.err)
	}
	if h.FDs.Process > h.FDs.Warn {
		problem("%d file descriptors are open (FD_Warn %d)", h.FDs.Process, h.FDs.Warn)
	}
	if c.out.IsRefusing() {
		problem("Fluent Bit keeps no records at the moment (a storage limit, or a full disk)")
	}
	if full := c.disks.nearlyFull(); full != "" {
		problem("a disk is nearly full: %s", full)
	}
	if c.db != nil && c.db.Trouble.Present() {
		problem("the positions cannot be saved in DB")
	} else if age := time.Since(time.Unix(0, c.savedAt.Load())); c.db != nil && age > unsavedTime {
		problem("the positions were not saved in DB for %s", age.Round(time.Second))
	}
	if names := c.failingStreams(); len(names) > 0 {
		problem("reading fails all the time for %d containers: %s", len(names), fewNames(names))
		h.failing = h.Problems[len(h.Problems)-1]
	}
	h.Ready = len(h.Problems) == 0
}
