package capture

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/supervise"
)

// The values of the option Metrics_Per_Container.
const (
	perContainerOff = "off"
	perContainerOn  = "on"
	perContainerAll = "all"
)

const (
	// maxContainerSeries bounds the containers that have series of their own at a
	// time; those that run come first.
	maxContainerSeries = 1000
	// seriesAge bounds them over time: how old a container must be to have any.
	// Prometheus keeps a series for weeks, and thousands of containers a day may
	// live for seconds.
	seriesAge = time.Minute
)

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
		ages:  desc("container_stream_age_seconds", "How long the container's log had been open at its stream rotations, in all; and their number.", labels...),
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
	if err := supervise.Catch(func() error { s.collect(ch); return nil }); err != nil {
		ch <- prometheus.NewInvalidMetric(s.lines, err)
	}
}

func (s *containerSeries) collect(ch chan<- prometheus.Metric) {
	all := s.col.Streams()
	if s.col.cfg.PerContainer == perContainerOn {
		all = slices.DeleteFunc(all, func(st StreamStatus) bool { return st.lived < seriesAge })
	}
	for _, st := range bounded(all) {
		ch <- constMetric(s.lines, prometheus.CounterValue, float64(st.Lines), st.ID, st.Name)
		ch <- constMetric(s.lag, prometheus.GaugeValue, st.Lag, st.ID, st.Name)
		m, err := prometheus.NewConstSummary(s.ages, st.Rotations, st.ages, nil, st.ID, st.Name)
		if err != nil {
			m = prometheus.NewInvalidMetric(s.ages, err)
		}
		ch <- m
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
