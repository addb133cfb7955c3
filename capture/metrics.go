package capture

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
	"fluent-bit-docker-logs/capture/supervise"
)

// taskKinds are the kinds of tasks, for metrics.
var taskKinds = []string{stream.TaskKind, discovery.TaskKind, checkpoint.TaskKind, fdguard.TaskKind}

// metrics are what one Collector counts. What it merely has at a moment, and what
// it counts for each container, is in package status.
type metrics struct {
	stream.Metrics
	tasks            supervise.Counts
	found            discovery.Counts
	guardActions     *prometheus.CounterVec
	checkpointErrors prometheus.Counter
	latency          prometheus.Histogram
	read             *status.Metrics // off the capture, when they are asked for
}

func newMetrics(reg prometheus.Registerer, perContainer string, view func() *status.View) (*metrics, error) {
	r := registration{reg: reg}
	m := &metrics{
		Metrics: stream.Metrics{
			Metrics: lines.Metrics{
				Lines:     r.counter("lines_total", "Lines emitted as records."),
				Bytes:     r.counter("bytes_total", "Bytes of text in the records emitted."),
				Partials:  r.counter("partials_total", "Partials of lines longer than 16 KiB that were joined."),
				Truncated: r.counter("truncated_lines_total", "Records flagged partial: lines cut at Max_Line_Size, or without the part that the Engine left out."),
				Gaps:      r.counter("gaps_total", "Times that lines were lost at the source before they could be read, or may have been: a log file was truncated."),
				Doubles:   r.counter("doubles_dropped_total", "Records that the Engine sent twice and that were dropped."),
				Undated:   r.counter("undated_lines_total", "Lines without a time, or with one outside of 1970 to 2105, that came with the time of the line before."),
				Joined:    r.counter("joined_lines_total", "Lines that became part of the record of a line before, as a stack trace (Multiline)."),
				Damaged:   r.counter("damaged_records_total", "Places in log files, or in what the Engine sent, that held no record and were left out."),
				Panics:    r.counter("panics_total", "Panics that were caught in a task."),
			},
			Late:           r.counter("late_records_total", "Records that the Engine left out while a log was followed, and that were delivered afterwards, out of order."),
			Missed:         r.counter("missed_containers_total", "Containers that were removed before their log could be opened."),
			Unpolled:       r.counter("unpolled_containers_total", "Containers that were removed while they were polled, or while their log could not be read: what they wrote after it was read last, if anything, is lost."),
			Rotations:      r.counter("stream_rotations_total", "Stream rotations: logs opened anew and closed as they were."),
			RotationErrors: r.counter("stream_rotation_errors_total", "Stream rotations that were left out: the log could not be opened a second time, or what is open was not read to where that begins."),
			Stalls:         r.counter("stream_stalls_total", "Streams that were silent while their log grew, and were opened again."),
			Reconnects:     r.counters("reconnects_total", "Log streams opened again, by reason.", "reason", stream.Reasons...),
		},
		tasks: supervise.Counts{
			Stalls:   r.counters("task_stalls_total", "Tasks that gave no heartbeat for Task_Timeout and were cancelled.", "task", taskKinds...),
			Restarts: r.counters("task_restarts_total", "Tasks started again after a panic or a stall.", "task", taskKinds...),
		},
		guardActions:     r.counters("fd_guard_actions_total", "What was done because of too many open file descriptors.", "action"),
		checkpointErrors: r.counter("checkpoint_errors_total", "Times that the positions could not be saved."),
		found: discovery.Counts{
			Events:      r.counters("discovery_events_total", "Container events acted on, by action.", "action"),
			Errors:      r.counters("discovery_errors_total", "Answers that the Engine failed to give, by what was asked for; session: it was taken to be away.", "what", "session", "list", "inspect"),
			ResyncFinds: r.counter("resync_finds_total", "Containers found by the periodic list that no event had announced."),
		},
		latency: r.histogram("delivery_latency_seconds", "From the Engine's timestamp of a record to its acknowledgement; the last record of each batch.",
			.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
	}
	m.Ages = r.histogram("stream_age_seconds", "How long a log had been open at each stream rotation.", 1, 5, 10, 20, 30, 45, 60, 120, 300, 1800, 3600)
	m.tasks.Panics, m.found.Panics = m.Panics, m.Panics
	m.read = status.NewMetrics(status.Options{
		View: view, Readers: []string{stream.File, stream.Follow, stream.Poll, status.NoReader}, PerContainer: perContainer, Version: Version(),
	})
	r.add(m.read)
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
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: status.Namespace, Name: name, Help: help})
	r.add(c)
	return c
}

// counters makes a counter for each value of a label. Those that are known
// beforehand are there from the start, at 0: a rate needs a first value.
func (r *registration) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: status.Namespace, Name: name, Help: help}, []string{label})
	for _, x := range values {
		v.WithLabelValues(x)
	}
	r.add(v)
	return v
}

func (r *registration) histogram(name, help string, bounds ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: status.Namespace, Name: name, Help: help, Buckets: bounds})
	r.add(h)
	return h
}

// valueOf reads a counter back.
func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m) // fails for metrics without a value only
	return m.GetCounter().GetValue()
}

// totals are the most important ones that are counted.
func (m *metrics) totals() status.Totals {
	return status.Totals{Lines: valueOf(m.Lines), Bytes: valueOf(m.Bytes), Gaps: valueOf(m.Gaps), Rotations: valueOf(m.Rotations), Stalls: valueOf(m.Stalls)}
}
