package capture

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are all metrics of one Collector. The namespace is that of the
// log_capturer system, whose dashboards go on working.
type metrics struct {
	lines, bytes, partials, truncated prometheus.Counter
	gaps                              prometheus.Counter
	doubles                           prometheus.Counter
	rotations, rotationErrors         prometheus.Counter
	stalls                            prometheus.Counter
	taskStalls, taskRestarts          *prometheus.CounterVec
	guardActions                      *prometheus.CounterVec
	checkpointErrors                  prometheus.Counter
	reconnects                        *prometheus.CounterVec
	events                            *prometheus.CounterVec
	resyncFinds                       prometheus.Counter
	missed                            prometheus.Counter
	damaged                           prometheus.Counter
	panics                            prometheus.Counter
}

// lineCounts is what a stream counted since it last added it to the metrics,
// so that a line costs no atomic operation.
type lineCounts struct{ lines, bytes, partials, cut, doubles int }

func newMetrics(reg prometheus.Registerer, c *Collector) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "log_capturer", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "log_capturer", Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "log_capturer", Name: name, Help: help}, f)
	}
	m := &metrics{
		lines:            counter("lines_total", "Lines emitted as records."),
		bytes:            counter("bytes_total", "Bytes of text in the records emitted."),
		partials:         counter("partials_total", "Partials of lines longer than 16 KiB that were joined."),
		truncated:        counter("truncated_lines_total", "Lines cut at Max_Line_Size."),
		gaps:             counter("gaps_total", "Times that lines were lost at the source before they could be read."),
		doubles:          counter("doubles_dropped_total", "Records that the Engine sent twice and that were dropped."),
		rotations:        counter("stream_rotations_total", "Stream rotations: logs opened anew and closed as they were."),
		rotationErrors:   counter("stream_rotation_errors_total", "Stream rotations that were left out because the log could not be opened a second time."),
		stalls:           counter("stream_stalls_total", "Streams that were silent while their log grew, and were opened again."),
		taskStalls:       vec("task_stalls_total", "Tasks that gave no heartbeat for Task_Timeout and were cancelled.", "task"),
		taskRestarts:     vec("task_restarts_total", "Tasks started again after a panic or a stall.", "task"),
		guardActions:     vec("fd_guard_actions_total", "What was done because of too many open file descriptors.", "action"),
		checkpointErrors: counter("checkpoint_errors_total", "Times that the positions could not be saved."),
		reconnects:       vec("reconnects_total", "Log streams opened again, by reason.", "reason"),
		events:           vec("discovery_events_total", "Container events acted on, by action.", "action"),
		resyncFinds:      counter("resync_finds_total", "Containers found by the periodic list that no event had announced."),
		missed:           counter("missed_containers_total", "Containers that were removed before their log could be opened."),
		damaged:          counter("damaged_records_total", "Places in log files that held no record and were left out."),
		panics:           counter("panics_total", "Panics that were caught in a task."),
	}
	for _, x := range []prometheus.Collector{
		m.lines, m.bytes, m.partials, m.truncated, m.gaps, m.doubles, m.rotations, m.rotationErrors, m.stalls, m.taskStalls, m.taskRestarts, m.guardActions, m.checkpointErrors, m.reconnects, m.events, m.resyncFinds, m.missed, m.damaged, m.panics,
		gauge("streams", "Streams that run at the moment.", func() float64 { return float64(c.runningCount()) }),
		gauge("outbox_bytes", "Bytes of records that wait for Fluent Bit.", func() float64 { return float64(c.out.size()) }),
		gauge("outstanding_records", "Records appended to Fluent Bit and not yet acknowledged.", func() float64 { return float64(c.out.outstanding()) }),
	} {
		if err := reg.Register(x); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// reconnectReason is the label value for why a read ended.
func reconnectReason(err error) string {
	switch {
	case err == nil:
		return "eof"
	case errors.Is(err, errEngineDown):
		return "engine_down"
	case errors.Is(err, errBackpressure):
		return "backpressure"
	case errors.Is(err, errSilent):
		return "silent"
	case errors.Is(err, errStalled):
		return "stalled"
	case errors.Is(err, errBadFrame), errors.Is(err, errBadTime):
		return "bad_data"
	}
	var se systemError
	if errors.As(err, &se) {
		return "engine_error"
	}
	return "other"
}
