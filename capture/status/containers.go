package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/supervise"
)

// The values of the option Metrics_Per_Container.
const (
	PerContainerOff = "off"
	PerContainerOn  = "on"
	PerContainerAll = "all"
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

// family is a metric that each container has.
type family struct{ name, help string }

var (
	containerLines = family{"container_lines_total", "Lines of the container emitted as records."}
	containerLag   = family{"container_lag_seconds", "As lag_seconds, of the container."}
	containerAges  = family{"container_stream_age_seconds", "How long the container's log had been open at its stream rotations, in all; and their number."}
)

// The names of labels, in the order in which they stand.
const (
	labelID       = "container_id"
	labelName     = "container_name"
	labelInstance = "instance"
)

// containerDescs describe them.
func containerDescs(ch chan<- *prometheus.Desc) {
	for _, f := range []family{containerLines, containerLag, containerAges} {
		ch <- desc(f.name, f.help, labelID, labelName)
	}
}

// samples are all metrics of a container.
type samples struct {
	lines   dto.Counter
	lag     dto.Gauge
	ages    dto.Summary
	count   float64 // of lines
	pairs   [2]dto.LabelPair
	labels  [3]*dto.LabelPair // of each of the metrics
	metrics [3]dto.Metric
}

// Containers are the metrics of each container. They are for the instance of that
// name, as of the view that was collected last.
//
// They are made from the streams there were, so that those of a container that was
// removed, or renamed, go away by themselves. A registry would ask of each of
// thousands whether it may be there, which takes longer than all else.
func (m *Metrics) Containers(instance string) []*dto.MetricFamily {
	if m.opts.PerContainer == PerContainerOff {
		return nil
	}
	v := m.last.Swap(nil)
	if v == nil && supervise.Catch(func() error { v = m.opts.View(); return nil }) != nil {
		return nil // which the collection has told
	}
	streams := bounded(v, m.opts.PerContainer == PerContainerOn)
	if len(streams) == 0 {
		return nil
	}
	slices.SortFunc(streams, func(a, b *Stream) int { return cmp.Compare(a.ID, b.ID) })
	own := &dto.LabelPair{Name: new(labelInstance), Value: &instance}
	id, name := new(labelID), new(labelName)
	all := make([]samples, len(streams))
	kinds := [3]dto.MetricType{dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_SUMMARY}
	var families []*dto.MetricFamily
	for k, f := range []family{containerLines, containerLag, containerAges} {
		families = append(families, &dto.MetricFamily{
			Name: new(prometheus.BuildFQName(Namespace, "", f.name)), Help: &f.help, Type: &kinds[k], Metric: make([]*dto.Metric, len(streams)),
		})
	}
	for i, st := range streams {
		of := &all[i]
		of.pairs[0].Name, of.pairs[0].Value = id, &st.ID
		of.pairs[1].Name, of.pairs[1].Value = name, &st.Name
		of.labels = [3]*dto.LabelPair{&of.pairs[0], &of.pairs[1], own}
		of.count = float64(st.Lines)
		of.lines.Value, of.lag.Value, of.ages.SampleCount, of.ages.SampleSum = &of.count, &st.Lag, &st.Rotations, &st.Ages
		of.metrics[0].Counter, of.metrics[1].Gauge, of.metrics[2].Summary = &of.lines, &of.lag, &of.ages
		for k := range of.metrics {
			of.metrics[k].Label = of.labels[:]
			families[k].Metric[i] = &of.metrics[k]
		}
	}
	return families
}

// bounded are the streams that have series.
func bounded(v *View, onlyOld bool) []*Stream {
	all := make([]*Stream, 0, len(v.Streams))
	for i := range v.Streams {
		if st := &v.Streams[i]; !onlyOld || st.Lived >= seriesAge {
			all = append(all, st)
		}
	}
	if len(all) <= maxContainerSeries {
		return all
	}
	// The same ones each time, as long as they run.
	slices.SortFunc(all, func(a, b *Stream) int {
		if a.Runs != b.Runs {
			return int(number(b.Runs) - number(a.Runs))
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return all[:maxContainerSeries]
}
