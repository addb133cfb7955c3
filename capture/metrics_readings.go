package capture

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/supervise"
)

// The kinds of tasks, for metrics.
const (
	taskStream     = "stream"
	taskDiscovery  = "discovery"
	taskCheckpoint = "checkpoint"
	taskGuard      = "guard"
)

// taskKinds are all of them.
var taskKinds = []string{taskStream, taskDiscovery, taskCheckpoint, taskGuard}

// reading is a metric that is read off the Collector when it is asked for.
type reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(set setValue)
}

// setValue gives a reading its value, one for each value of its labels.
type setValue func(v float64, label ...string)

// Describe implements prometheus.Collector.
func (r *reading) Describe(ch chan<- *prometheus.Desc) { ch <- r.desc }

// Collect implements prometheus.Collector. It runs on a goroutine of the
// registry, where a panic would end Fluent Bit.
func (r *reading) Collect(ch chan<- prometheus.Metric) {
	if err := supervise.Catch(func() error {
		r.read(func(v float64, label ...string) { ch <- constMetric(r.desc, r.kind, v, label...) })
		return nil
	}); err != nil {
		ch <- prometheus.NewInvalidMetric(r.desc, err)
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
	return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "", name), help, labels, nil)
}

// readings are all of them.
func readings(c *Collector) (all []prometheus.Collector) {
	gauge := func(name, help string, read func(setValue), label ...string) {
		all = append(all, &reading{desc(name, help, label...), prometheus.GaugeValue, read})
	}
	value := func(name, help string, f func() float64) {
		gauge(name, help, func(set setValue) { set(f()) })
	}
	total := func(name, help string, f func() uint64) {
		all = append(all, &reading{desc(name, help), prometheus.CounterValue, func(set setValue) { set(float64(f())) }})
	}

	gauge("streams", "Streams that run at the moment, by reader.", func(set setValue) {
		n := c.byReader()
		for _, reader := range []string{readerFile, readerFollow, readerPoll, readerNone} {
			set(float64(n[reader]), reader)
		}
	}, "reader")
	value("outrun_streams", "Streams that follow a log which the Engine replaced within 5 seconds in the past minute: what it leaves out of it cannot be found nor counted.", func() float64 { return float64(c.outrunStreams()) })
	value("lag_seconds", "How long the oldest line that was not read yet may have waited, by the Engine's timestamps, in the stream that lags most; 0 if none does.", c.greatestLag)
	value("outbox_bytes", "Bytes of records that wait for Fluent Bit.", func() float64 { return float64(c.out.Size()) })
	total("appended_records_total", "Records appended to Fluent Bit.", func() uint64 { n, _, _ := c.out.Totals(); return n })
	total("refused_records_total", "Records that Fluent Bit took and did not keep; they are kept here and appended again.", func() uint64 { _, _, n := c.out.Totals(); return n })
	total("acked_records_total", "Records that Fluent Bit holds in chunks, as far as their whole batch is.", func() uint64 { _, n, _ := c.out.Totals(); return n })
	value("outstanding_records", "Records appended to Fluent Bit and not yet acknowledged.", func() float64 { return float64(c.out.Outstanding()) })
	gauge("task_heartbeat_age_seconds", "Time since the last heartbeat, of the task of its kind that has been silent for longest; 0 while none is due.", func(set setValue) {
		for kind, age := range c.heartbeatAges() {
			set(age.Seconds(), kind)
		}
	}, "task")
	value("tasks_leaked", "Runs of tasks that did not return after they were cancelled.", func() float64 {
		_, leaked := c.sup.State()
		return float64(leaked)
	})
	gauge("open_fds", "File descriptors of the capture, by kind.", func(set setValue) {
		n := c.guard.count()
		set(float64(n.Connections), "connections")
		set(float64(n.Files), "files")
		set(float64(n.Watches), "watches")
	}, "kind")
	value("process_open_fds", "Open file descriptors of the whole process.", func() float64 { return float64(c.guard.count().Process) })
	value("fd_warn", "Open file descriptors of the process above which there is a warning.", func() float64 { return float64(c.guard.count().Warn) })
	value("fd_limit", "Open file descriptors of the process above which the capture gives up some of its own.", func() float64 { return float64(c.guard.count().Limit) })
	value("goroutines", "Goroutines of the whole process.", func() float64 { return float64(runtime.NumGoroutine()) })
	gauge("checkpoint_age_seconds", "Time since what DB holds was last up to date; absent without DB.", func(set setValue) {
		if c.db != nil {
			set(time.Since(time.Unix(0, c.savedAt.Load())).Seconds())
		}
	})
	gauge("disk_free_bytes", "Room on the file system of DB (db), and of Fluent Bit's chunks (storage) once one was seen; absent without DB.", func(set setValue) {
		for _, s := range c.disks.each() {
			set(float64(s.free), s.of)
		}
	}, "of")
	gauge("disk_size_bytes", "Size of the file systems of disk_free_bytes.", func(set setValue) {
		for _, s := range c.disks.each() {
			set(float64(s.size), s.of)
		}
	}, "of")
	gauge("build_info", "Always 1: the version of the plugin, and the Go that it was built with.", func(set setValue) { set(1, Version(), runtime.Version()) }, "version", "goversion")
	value("start_time_seconds", "When the capture of this input was begun, in seconds since 1970.", func() float64 { return float64(c.began.UnixNano()) / 1e9 })
	value("engine_up", "1 while the Engine answers.", func() float64 { up, _ := c.conn.Get(); return number(up) })
	value("degraded", "1 while something is wrong that /readyz names.", func() float64 { return number(!c.Health().Ready) })
	return all
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// heartbeatAges is the greatest age of a heartbeat for each kind of task.
func (c *Collector) heartbeatAges() map[string]time.Duration {
	ages := c.sup.Ages()
	for _, kind := range taskKinds {
		ages[kind] += 0 // there whether one runs or not
	}
	return ages
}
