package status

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/fdguard"
)

// Health is what /readyz says of one instance.
type Health struct {
	Instance string         `json:"instance"`
	Ready    bool           `json:"ready"`
	Problems []string       `json:"problems"` // why it is not ready, a sentence each
	Engine   Engine         `json:"engine"`
	Streams  map[string]int `json:"streams"` // that run, by reader
	Tasks    Tasks          `json:"tasks"`
	FDs      fdguard.Count  `json:"file_descriptors"`
	Outbox   Outbox         `json:"outbox"`
	Totals   Totals         `json:"totals"`

	Goroutines  int        `json:"goroutines"` // of the process
	Since       time.Time  `json:"since"`      // when the instance was made
	LastError   string     `json:"last_error"` // or warning, with the name of the container that it is of
	LastErrorAt *time.Time `json:"last_error_at"`
}

// Health says how the capture was.
func (v *View) Health() Health {
	h := Health{
		Problems: []string{}, Engine: v.Engine, Streams: v.ByReader(), Tasks: v.Tasks, FDs: v.FDs, Outbox: v.Outbox, Totals: v.Totals,
		Goroutines: runtime.NumGoroutine(), Since: v.Began.UTC(), LastError: v.LastError, LastErrorAt: v.LastErrorAt,
	}
	for _, p := range v.Problems() {
		h.Problems = append(h.Problems, p.Text)
	}
	h.Ready = len(h.Problems) == 0
	return h
}

// Problem is something that is wrong.
type Problem struct {
	Of   Subject
	Text string // a sentence
}

// Subject is what a problem is one of.
type Subject int

// The subjects that are shown in other ways, too.
const (
	OfOthers   Subject = iota
	OfEngine           // there is none
	OfInspects         // some containers cannot be inspected
	OfReading          // some containers cannot be read
)

const (
	// unsavedTime is how long what DB holds may be out of date: many times the
	// longest DB_Sync, and the pause after a save that takes long.
	unsavedTime = 15 * time.Minute
	// FailingTime is how long reading fails until a container is named. All reads
	// must have failed: a retry or two is nothing.
	FailingTime = time.Minute
)

// Problems says what was wrong.
func (v *View) Problems() (all []Problem) {
	problem := func(of Subject, format string, args ...any) {
		all = append(all, Problem{of, fmt.Sprintf(format, args...)})
	}
	if !v.Engine.Reachable {
		problem(OfEngine, "the Engine does not answer")
	}
	if v.ListFails {
		problem(OfOthers, "the Engine does not list its containers")
	}
	if n := len(v.Unanswered); n > 0 {
		names := make([]string, 0, n)
		for _, u := range v.Unanswered {
			names = append(names, u.Name)
		}
		problem(OfInspects, "%d containers could not be inspected: %s", n, fewNames(names))
	}
	if v.Tasks.Stalled > 0 {
		problem(OfOthers, "%d tasks are stalled", v.Tasks.Stalled)
	}
	if v.Tasks.Leaked > 0 {
		problem(OfOthers, "%d tasks did not return and were left behind", v.Tasks.Leaked)
	}
	if v.FDs.Err != nil {
		problem(OfOthers, "the open file descriptors cannot be counted: %v", v.FDs.Err)
	}
	if v.FDs.Process > v.FDs.Warn {
		problem(OfOthers, "%d file descriptors are open (FD_Warn %d)", v.FDs.Process, v.FDs.Warn)
	}
	if v.Outbox.Refuses {
		problem(OfOthers, "Fluent Bit keeps no records at the moment (a storage limit, or a full disk)")
	}
	if v.NearlyFull != "" {
		problem(OfOthers, "a disk is nearly full: %s", v.NearlyFull)
	}
	if v.DB != nil && v.DB.Fails {
		problem(OfOthers, "the positions cannot be saved in DB")
	} else if v.DB != nil && time.Since(v.DB.UpToDate) > unsavedTime {
		problem(OfOthers, "the positions were not saved in DB for %s", time.Since(v.DB.UpToDate).Round(time.Second))
	}
	var failing []string
	for i := range v.Streams {
		if s := &v.Streams[i]; s.FailsFor >= FailingTime {
			failing = append(failing, s.Name)
		}
	}
	if slices.Sort(failing); len(failing) > 0 {
		problem(OfReading, "reading fails all the time for %d containers: %s", len(failing), fewNames(failing))
	}
	return all
}

// fewNames lists some of them.
func fewNames(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
