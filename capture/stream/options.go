package stream

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/supervise"
)

// TaskKind is the kind of a stream's task, for metrics.
const TaskKind = "stream"

// The ways in which logs are read. Auto leaves it to each stream.
const (
	Auto   = "auto"   // the file where it can be read, else the API: follow who writes, poll who is quiet
	File   = "file"   // the file or nothing
	Follow = "follow" // the API, one open request for each log
	Poll   = "poll"   // the API, asked now and then
)

// Options are what a set of streams is made with.
type Options struct {
	Engine     *engine.Client
	State      *engine.State     // whether the Engine answers
	Store      *checkpoint.Store // of containers without a stream
	Out        *outbox.Outbox
	Supervisor *supervise.Supervisor
	Metrics    *Metrics
	Config
}

// Config says how logs are read, and what becomes of their lines.
type Config struct {
	Reader     string // Auto, File, Follow or Poll
	Local      bool   // the Engine is on this host, and so are its files
	MaxStreams int    // that follow, with Auto
	IdleAfter  time.Duration
	api.Options

	RotationLogLevel string // off, or a level of slog
	TurnsSilent      bool   // streams that were silent are rotated as often as others

	Std       [3]bool // which std streams become records
	MaxLine   int     // bytes of a record's text
	Multiline lines.Languages
	Records   record.Options

	// Follows says in a simulation whether no log file was created between two
	// inodes, or after the first (0), which else the kernel tells. Usually nil.
	Follows func(id string, old, next uint64) bool
}

// Metrics are what streams count.
type Metrics struct {
	lines.Metrics
	Late                      prometheus.Counter
	Missed, Unpolled          prometheus.Counter // containers
	Rotations, RotationErrors prometheus.Counter
	Stalls                    prometheus.Counter
	Reconnects                *prometheus.CounterVec // by reason, one of Reasons
	Ages                      prometheus.Histogram   // seconds, at rotations
}
