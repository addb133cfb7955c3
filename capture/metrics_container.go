package capture

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxContainerSeries bounds the containers that have series of their own; those
// that run come first.
const maxContainerSeries = 1000

// containerSeries are the metrics of each container. They are made from the
// streams there are when they are asked for, so that those of a container that
// was removed, or renamed, go away by themselves.
type containerSeries struct {
	col              *Collector
	lines, lag, ages *prometheus.Desc
}

func newContainerSeries(c *Collector) *containerSeries {
	labels := []string{"container_id", "container_name"}
	return &containerSeries{
		col:   c,
		lines: desc("container_lines_total", "Lines of the container emitted as records.", labels...),
		lag:   desc("container_lag_seconds", "As lag_seconds, of the container.", labels...),
		ages:  desc("container_stream_age_seconds", "How long the container's log had been open at each stream rotation.", labels...),
	}
}

// Describe implements prometheus.Collector.
func (s *containerSeries) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.lines
	ch <- s.lag
	ch <- s.ages
}

// Collect implements prometheus.Collector; see reading.
func (s *containerSeries) Collect(ch chan<- prometheus.Metric) {
	if err := guard(func() error { s.collect(ch); return nil }); err != nil {
		ch <- prometheus.NewInvalidMetric(s.lines, err)
	}
}

func (s *containerSeries) collect(ch chan<- prometheus.Metric) {
	for _, st := range bounded(s.col.Streams()) {
		ch <- constMetric(s.lines, prometheus.CounterValue, float64(st.Lines), st.ID, st.Name)
		ch <- constMetric(s.lag, prometheus.GaugeValue, st.Lag, st.ID, st.Name)
		ch <- st.ages.metric(s.ages, st.ID, st.Name)
	}
}

// bounded leaves out what is beyond maxContainerSeries.
func bounded(all []StreamStatus) []StreamStatus {
	if len(all) <= maxContainerSeries {
		return all
	}
	kept := make([]StreamStatus, 0, maxContainerSeries)
	for _, runs := range []bool{true, false} {
		for i := range all {
			if len(kept) < maxContainerSeries && all[i].runs == runs {
				kept = append(kept, all[i])
			}
		}
	}
	return kept
}

// ageBounds are the upper bounds of a stream's ages at its rotations.
var ageBounds = [...]float64{1, 5, 10, 20, 30, 45, 60, 120, 300, 1800, 3600}

// ageHistogram counts the rotations of one stream by its age.
type ageHistogram struct {
	count uint64
	sum   float64 // seconds
	upTo  [len(ageBounds)]uint64
}

func (h *ageHistogram) observe(age time.Duration) {
	h.count++
	h.sum += age.Seconds()
	for i, bound := range ageBounds {
		if age.Seconds() <= bound {
			h.upTo[i]++
		}
	}
}

func (h *ageHistogram) metric(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(ageBounds))
	for i, bound := range ageBounds {
		buckets[bound] = h.upTo[i]
	}
	m, err := prometheus.NewConstHistogram(desc, h.count, h.sum, buckets, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
