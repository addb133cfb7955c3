package status

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/supervise"
)

// Namespace is that of the log_capturer system, whose dashboards go on working.
const Namespace = "log_capturer"

// Metrics are the metrics that are read off the capture. That is done when they are
// asked for.
//
// They are one prometheus.Collector, and Containers what is put beside it: all of a
// scrape are of one View.
type Metrics struct {
	opts     Options
	readings []reading
	last     atomic.Pointer[View] // collected, whose containers were not asked for yet
}

// Options are what Metrics are made with.
type Options struct {
	View         func() *View
	Readers      []string // the names that Stream.Reader may have
	PerContainer string   // PerContainerOff, PerContainerOn, PerContainerAll
	Version      string   // of the plugin
}

// reading is one metric.
type reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(v *View, set setValue)
}

// setValue gives a reading its value, one for each value of its labels.
type setValue func(v float64, label ...string)

// NewMetrics makes them.
func NewMetrics(o Options) *Metrics {
	return &Metrics{opts: o, readings: readings(o)}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for i := range m.readings {
		ch <- m.readings[i].desc
	}
	if m.opts.PerContainer != PerContainerOff {
		containerDescs(ch)
	}
}

// Collect implements prometheus.Collector. It runs on a goroutine of the
// registry, where a panic would end Fluent Bit.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	if err := supervise.Catch(func() error {
		v := m.opts.View()
		for i := range m.readings {
			r := &m.readings[i]
			r.read(v, func(x float64, label ...string) { ch <- constMetric(r.desc, r.kind, x, label...) })
		}
		m.last.Store(v)
		return nil
	}); err != nil {
		ch <- prometheus.NewInvalidMetric(m.readings[0].desc, err)
	}
}

// constMetric is a metric as it is now, or why there is none.
func constMetric(desc *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(desc, kind, v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, labels, nil)
}

// readings are all of them.
func readings(o Options) (all []reading) {
	gauge := func(name, help string, read func(*View, setValue), label ...string) {
		all = append(all, reading{desc(name, help, label...), prometheus.GaugeValue, read})
	}
	value := func(name, help string, f func(*View) float64) {
		gauge(name, help, func(v *View, set setValue) { set(f(v)) })
	}
	total := func(name, help string, f func(*View) uint64) {
		all = append(all, reading{desc(name, help), prometheus.CounterValue, func(v *View, set setValue) { set(float64(f(v))) }})
	}

	gauge("streams", "Streams that run at the moment, by reader.", func(v *View, set setValue) {
		n := v.ByReader()
		for _, reader := range o.Readers {
			set(float64(n[reader]), reader)
		}
	}, "reader")
	value("outrun_streams", "Streams that follow a log which the Engine replaced within 5 seconds in the past minute: what it leaves out of it may not be found, nor counted.", func(v *View) (n float64) {
		for i := range v.Streams {
			n += number(v.Streams[i].Outrun)
		}
		return n
	})
	value("lag_seconds", "How long the oldest line that was not read yet may have waited, by the Engine's timestamps, in the stream that lags most; 0 if none does.", func(v *View) float64 { return v.Totals.Lag })
	value("outbox_bytes", "Bytes of records that wait for Fluent Bit.", func(v *View) float64 { return float64(v.Outbox.Bytes) })
	total("appended_records_total", "Records appended to Fluent Bit.", func(v *View) uint64 { return v.Records.Appended })
	total("refused_records_total", "Records that Fluent Bit took and did not keep; they are kept here and appended again.", func(v *View) uint64 { return v.Records.Refused })
	total("acked_records_total", "Records that Fluent Bit holds in chunks, as far as their whole batch is.", func(v *View) uint64 { return v.Records.Acked })
	value("outstanding_records", "Records appended to Fluent Bit and not yet acknowledged.", func(v *View) float64 { return float64(v.Outbox.Outstanding) })
	gauge("task_heartbeat_age_seconds", "Time since the last heartbeat, of the task of its kind that has been silent for longest; 0 while none is due.", func(v *View, set setValue) {
		for kind, age := range v.Tasks.Heartbeats {
			set(age, kind)
		}
	}, "task")
	value("tasks_leaked", "Runs of tasks that did not return after they were cancelled.", func(v *View) float64 { return float64(v.Tasks.Leaked) })
	gauge("open_fds", "File descriptors of the capture, by kind.", func(v *View, set setValue) {
		set(float64(v.FDs.Connections), "connections")
		set(float64(v.FDs.Files), "files")
		set(float64(v.FDs.Watches), "watches")
	}, "kind")
	value("process_open_fds", "Open file descriptors of the whole process.", func(v *View) float64 { return float64(v.FDs.Process) })
	value("fd_warn", "Open file descriptors of the process above which there is a warning.", func(v *View) float64 { return float64(v.FDs.Warn) })
	value("fd_limit", "Open file descriptors of the process above which the capture gives up some of its own.", func(v *View) float64 { return float64(v.FDs.Limit) })
	value("goroutines", "Goroutines of the whole process.", func(*View) float64 { return float64(runtime.NumGoroutine()) })
	gauge("checkpoint_age_seconds", "Time since what DB holds was last up to date; absent without DB.", func(v *View, set setValue) {
		if v.DB != nil {
			set(time.Since(v.DB.UpToDate).Seconds())
		}
	})
	gauge("disk_free_bytes", "Room on the file system of DB (db), and of Fluent Bit's chunks (storage) once one was seen; absent without DB.", func(v *View, set setValue) {
		for _, d := range v.Disks {
			set(float64(d.Free), d.Of)
		}
	}, "of")
	gauge("disk_size_bytes", "Size of the file systems of disk_free_bytes.", func(v *View, set setValue) {
		for _, d := range v.Disks {
			set(float64(d.Size), d.Of)
		}
	}, "of")
	gauge("build_info", "Always 1: the version of the plugin, and the Go that it was built with.", func(_ *View, set setValue) { set(1, o.Version, runtime.Version()) }, "version", "goversion")
	value("start_time_seconds", "When the capture of this input was begun, in seconds since 1970.", func(v *View) float64 { return float64(v.Began.UnixNano()) / 1e9 })
	value("engine_up", "1 while the Engine answers.", func(v *View) float64 { return number(v.Engine.Reachable) })
	value("degraded", "1 while something is wrong that /readyz names.", func(v *View) float64 { return number(len(v.Problems()) > 0) })
	return all
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
