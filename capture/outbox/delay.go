package outbox

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// delay is how long records take. It is set before the first use.
type delay struct {
	Latency prometheus.Observer // nil: it is not measured
	Ahead   *atomic.Int64       // of the Engine's clock, in nanoseconds
}

// observe notes how long the last record of a batch took from the Engine to
// Fluent Bit's chunks.
func (d *delay) observe(now time.Time, commits []Commit) {
	newest := int64(0)
	for i := range commits {
		newest = max(newest, commits[i].Pos.Anchor.Time())
	}
	if d.Latency != nil && newest > 0 {
		d.Latency.Observe(max(0, now.Sub(time.Unix(0, newest-d.Ahead.Load()))).Seconds())
	}
}
