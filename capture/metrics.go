package capture

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
)

// metricsNamespace is that of the log_capturer system, whose dashboards go on
// working.
const metricsNamespace = "log_capturer"

// metrics are what one Collector counts. What it merely has at a moment is in
// metrics_readings.go, what it counts for each container in
// metrics_container.go.
type metrics struct {
	lineMetrics
	late                      prometheus.Counter
	rotations, rotationErrors prometheus.Counter
	stalls                    prometheus.Counter
	taskStalls, taskRestarts  *prometheus.CounterVec
	guardActions              *prometheus.CounterVec
	checkpointErrors          prometheus.Counter
	reconnects                *prometheus.CounterVec
	events                    *prometheus.CounterVec
	resyncFinds               prometheus.Counter
	discoveryErrors           *prometheus.CounterVec
	missed, unpolled          prometheus.Counter
	latency, ages             prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, c *Collector) (*metrics, error) {
	r := registration{reg: reg}
	m := &metrics{
		lineMetrics: lineMetrics{
			lines:     r.counter("lines_total", "Lines emitted as records."),
			bytes:     r.counter("bytes_total", "Bytes of text in the records emitted."),
			partials:  r.counter("partials_total", "Partials of lines longer than 16 KiB that were joined."),
			truncated: r.counter("truncated_lines_total", "Records flagged partial: lines cut at Max_Line_Size, or without the part that the Engine left out."),
			gaps:      r.counter("gaps_total", "Times that lines were lost at the source before they could be read, or may have been: a log file was truncated."),
			doubles:   r.counter("doubles_dropped_total", "Records that the Engine sent twice and that were dropped."),
			undated:   r.counter("undated_lines_total", "Lines without a time, or with one outside of 1970 to 2105, that came with the time of the line before."),
			joined:    r.counter("joined_lines_total", "Lines that became part of the record of a line before, as a stack trace (Multiline)."),
			damaged:   r.counter("damaged_records_total", "Places in log files, or in what the Engine sent, that held no record and were left out."),
			panics:    r.counter("panics_total", "Panics that were caught in a task."),
		},
		late:             r.counter("late_records_total", "Records that the Engine left out while a log was followed, and that were delivered afterwards, out of order."),
		missed:           r.counter("missed_containers_total", "Containers that were removed before their log could be opened."),
		unpolled:         r.counter("unpolled_containers_total", "Containers that were removed while they were polled, or while their log could not be read: what they wrote after it was read last, if anything, is lost."),
		rotations:        r.counter("stream_rotations_total", "Stream rotations: logs opened anew and closed as they were."),
		rotationErrors:   r.counter("stream_rotation_errors_total", "Stream rotations that were left out: the log could not be opened a second time, or what is open was not read to where that begins."),
		stalls:           r.counter("stream_stalls_total", "Streams that were silent while their log grew, and were opened again."),
		reconnects:       r.counters("reconnects_total", "Log streams opened again, by reason.", "reason", reconnectReasons...),
		taskStalls:       r.counters("task_stalls_total", "Tasks that gave no heartbeat for Task_Timeout and were cancelled.", "task", taskKinds...),
		taskRestarts:     r.counters("task_restarts_total", "Tasks started again after a panic or a stall.", "task", taskKinds...),
		guardActions:     r.counters("fd_guard_actions_total", "What was done because of too many open file descriptors.", "action"),
		checkpointErrors: r.counter("checkpoint_errors_total", "Times that the positions could not be saved."),
		events:           r.counters("discovery_events_total", "Container events acted on, by action.", "action"),
		discoveryErrors:  r.counters("discovery_errors_total", "Answers that the Engine failed to give, by what was asked for; session: it was taken to be away.", "what", "session", "list", "inspect"),
		resyncFinds:      r.counter("resync_finds_total", "Containers found by the periodic list that no event had announced."),
		latency: r.histogram("delivery_latency_seconds", "From the Engine's timestamp of a record to its acknowledgement; the last record of each batch.",
			.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
		ages: r.histogram("stream_age_seconds", "How long a log had been open at each stream rotation.", 1, 5, 10, 20, 30, 45, 60, 120, 300, 1800, 3600),
	}
	for _, x := range readings(c) {
		r.add(x)
	}
	if c.cfg.PerContainer != perContainerOff {
		r.add(newContainerSeries(c))
	}
	return m, r.err
}

// registration registers metrics as they are made.
type registration struct {
	reg prometheus.Registerer
	err error // the first that came
}

func (r *registration) add(c prometheus.Collector) {
	if r.err == nil {
		r.err = r.reg.Register(c)
	}
}

func (r *registration) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help})
	r.add(c)
	return c
}

// counters makes a counter for each value of a label. Those that are known
// beforehand are there from the start, at 0: a rate needs a first value.
func (r *registration) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, []string{label})
	for _, x := range values {
		v.WithLabelValues(x)
	}
	r.add(v)
	return v
}

func (r *registration) histogram(name, help string, bounds ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: name, Help: help, Buckets: bounds})
	r.add(h)
	return h
}

// valueOf reads a counter back.
func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m) // fails for metrics without a value only
	return m.GetCounter().GetValue()
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

// Totals returns them as they are now.
func (c *Collector) Totals() Totals {
	m := c.metrics
	return Totals{
		Lines:     valueOf(m.lines),
		Bytes:     valueOf(m.bytes),
		Gaps:      valueOf(m.gaps),
		Rotations: valueOf(m.rotations),
		Stalls:    valueOf(m.stalls),
		Lag:       c.greatestLag(),
	}
}

var reconnectReasons = []string{"eof", "engine_down", "backpressure", "silent", "stalled", "bad_data", "engine_error", "recycled", "other"}

// reconnectReason is the label value for why a read ended.
func reconnectReason(err error) string {
	switch {
	case err == nil:
		return "eof"
	case errors.Is(err, engine.ErrDown):
		return "engine_down"
	case errors.Is(err, errBackpressure):
		return "backpressure"
	case errors.Is(err, errSilent):
		return "silent"
	case errors.Is(err, errStalled):
		return "stalled"
	case errors.Is(err, errRecycled):
		return "recycled"
	case errors.Is(err, decode.ErrBadFrame):
		return "bad_data"
	}
	var se decode.SystemError
	if errors.As(err, &se) {
		return "engine_error"
	}
	return "other"
}
