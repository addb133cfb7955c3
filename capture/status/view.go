package status

import (
	"cmp"
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/fdguard"
)

// View is how the capture of one instance is at a moment.
type View struct {
	Began   time.Time // the instance was made
	Streams []Stream  // in no order
	Engine  Engine
	Tasks   Tasks
	FDs     fdguard.Count
	Outbox  Outbox
	Totals  Totals
	Records Records

	Disks      []Disk // none without DB
	NearlyFull string // which of them are, "" if none is
	DB         *DB    // nil without

	ListFails  bool                   // the Engine does not list its containers
	Unanswered []discovery.Unanswered // by name

	LastError   string // or warning, with the name of the container that it is of
	LastErrorAt *time.Time
}

// Stream is how the capture of one container is at a moment.
type Stream struct {
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

	Runs     bool          `json:"-"`
	Fails    bool          `json:"-"` // reading does, also while it is tried again
	FailsFor time.Duration `json:"-"` // without having come on, 0 if it does not
	Outrun   bool          `json:"-"` // the Engine replaces the log too fast for it to be compared
	Lived    time.Duration `json:"-"` // since its container was created
	Ages     float64       `json:"-"` // seconds, at its rotations in all
}

// What a stream is doing.
const (
	Waiting    = "waiting"    // for an Engine that answers
	Opening    = "opening"    // looks for its position in the log
	Reading    = "reading"    // or waits for the container to write
	Blocked    = "blocked"    // Fluent Bit takes nothing
	Retrying   = "retrying"   // reading failed
	Stopped    = "stopped"    // as its container
	Removed    = "removed"    // as its container
	Unreadable = "unreadable" // for good
)

// NoReader is the reader of a stream that has none. It does not run, or has not
// chosen yet.
const NoReader = "none"

// Engine is what is known of the Engine.
type Engine struct {
	Reachable bool       `json:"reachable"`
	Version   string     `json:"version"` // empty before the first connect, as API
	API       string     `json:"api"`
	Since     time.Time  `json:"since"`    // that it is reachable, or not
	NextTry   *time.Time `json:"next_try"` // to connect; null while it is reachable, and before the first try
	Error     string     `json:"error"`    // why the last try failed
}

// Tasks counts tasks.
type Tasks struct {
	Stalled    int                `json:"stalled"` // without a heartbeat for Task_Timeout
	Leaked     int                `json:"leaked"`  // did not return after they were cancelled
	Heartbeats map[string]float64 `json:"heartbeat_age_seconds"`
}

// Outbox is what waits for Fluent Bit.
type Outbox struct {
	Bytes       int    `json:"bytes"`
	Limit       int    `json:"limit"`
	Outstanding uint64 `json:"outstanding_records"`

	Refuses bool `json:"-"` // Fluent Bit keeps no records at the moment
}

// Totals are the most important metrics, for Fluent Bit's own endpoint.
type Totals struct {
	Lines     float64 `json:"lines"`
	Bytes     float64 `json:"bytes"`
	Gaps      float64 `json:"gaps"`
	Rotations float64 `json:"rotations"`
	Stalls    float64 `json:"stalls"`
	Lag       float64 `json:"lag_seconds"` // of the stream that lags most
}

// Records counts records on their way into Fluent Bit.
type Records struct{ Appended, Acked, Refused uint64 }

// Disk is how much room there is on a disk, in bytes.
type Disk struct {
	Of         string // db or storage
	Free, Size uint64
}

// DB is the file of the positions.
type DB struct {
	UpToDate time.Time // when what it holds was that last
	Fails    bool      // to be written
}

// ByName are the streams in the order of their names.
func (v *View) ByName() []*Stream {
	all := make([]*Stream, len(v.Streams))
	for i := range v.Streams {
		all[i] = &v.Streams[i]
	}
	slices.SortFunc(all, func(a, b *Stream) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}

// ByReader counts the streams that run, by reader.
func (v *View) ByReader() map[string]int {
	n := make(map[string]int)
	for i := range v.Streams {
		if s := &v.Streams[i]; s.Runs {
			n[s.Reader]++
		}
	}
	return n
}

// Moment is t in UTC, nil if it is zero.
func Moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
