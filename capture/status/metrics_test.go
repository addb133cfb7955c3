package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/testkit"
)

// However many containers there are, their series are bounded, and those that
// run come first.
func TestSeriesAreBounded(t *testing.T) {
	var v View
	for i := range maxContainerSeries + 500 {
		v.Streams = append(v.Streams, Stream{ID: fmt.Sprint(i), Runs: i >= 500 && i%2 == 0})
	}
	kept := bounded(&v, false)
	running := 0
	for _, s := range kept {
		if s.Runs {
			running++
		}
	}
	if len(kept) != maxContainerSeries || running != maxContainerSeries/2 {
		t.Errorf("%d kept, %d of them run", len(kept), running)
	}
}

// All metrics of a scrape are of one view, and keep to Prometheus' rules.
func TestOneViewIsAsked(t *testing.T) {
	asked := 0
	m := NewMetrics(Options{Readers: []string{"file", NoReader}, PerContainer: PerContainerOn, Version: "1", View: func() *View {
		asked++
		return &View{
			Began: time.Unix(1, 0), FDs: fdguard.Count{Warn: 5, Limit: 10}, Engine: Engine{Reachable: true},
			Streams: []Stream{
				{ID: "1", Name: "web", Reader: "file", Runs: true, Lived: time.Hour, Lines: 7, Lag: 2, Rotations: 3, Ages: 4.5},
				{ID: "2", Name: "young", Reader: NoReader, Runs: true, Lived: time.Second, Outrun: true},
				{ID: "3", Name: "gone", Reader: NoReader, Lived: time.Hour},
			},
		}
	}})
	reg := prometheus.NewPedanticRegistry()
	testkit.Must(t, prometheus.WrapRegistererWith(prometheus.Labels{"instance": "docker_logs.0"}, reg).Register(m))
	both := prometheus.Gatherers{reg, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return m.Containers("docker_logs.0"), nil })}
	want := `
# HELP log_capturer_container_lag_seconds As lag_seconds, of the container.
# TYPE log_capturer_container_lag_seconds gauge
log_capturer_container_lag_seconds{container_id="1",container_name="web",instance="docker_logs.0"} 2
log_capturer_container_lag_seconds{container_id="3",container_name="gone",instance="docker_logs.0"} 0
# HELP log_capturer_container_lines_total Lines of the container emitted as records.
# TYPE log_capturer_container_lines_total counter
log_capturer_container_lines_total{container_id="1",container_name="web",instance="docker_logs.0"} 7
log_capturer_container_lines_total{container_id="3",container_name="gone",instance="docker_logs.0"} 0
# HELP log_capturer_container_stream_age_seconds How long the container's log had been open at its stream rotations, in all; and their number.
# TYPE log_capturer_container_stream_age_seconds summary
log_capturer_container_stream_age_seconds_sum{container_id="1",container_name="web",instance="docker_logs.0"} 4.5
log_capturer_container_stream_age_seconds_count{container_id="1",container_name="web",instance="docker_logs.0"} 3
log_capturer_container_stream_age_seconds_sum{container_id="3",container_name="gone",instance="docker_logs.0"} 0
log_capturer_container_stream_age_seconds_count{container_id="3",container_name="gone",instance="docker_logs.0"} 0
# HELP log_capturer_degraded 1 while something is wrong that /readyz names.
# TYPE log_capturer_degraded gauge
log_capturer_degraded{instance="docker_logs.0"} 0
# HELP log_capturer_outrun_streams Streams that follow a log which the Engine replaced within 5 seconds in the past minute: what it leaves out of it may not be found, nor counted.
# TYPE log_capturer_outrun_streams gauge
log_capturer_outrun_streams{instance="docker_logs.0"} 1
# HELP log_capturer_streams Streams that run at the moment, by reader.
# TYPE log_capturer_streams gauge
log_capturer_streams{instance="docker_logs.0",reader="file"} 1
log_capturer_streams{instance="docker_logs.0",reader="none"} 1
`
	var names []string
	for line := range strings.Lines(want) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(name)[0])
		}
	}
	if err := testutil.GatherAndCompare(both, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if asked != 1 {
		t.Errorf("%d views were asked for in one scrape", asked)
	}
	problems, err := testutil.GatherAndLint(both)
	testkit.Must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// A panic while metrics are read hides no other metric.
func TestPanicsStayInside(t *testing.T) {
	reg := prometheus.NewRegistry()
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "other_total"})
	m := NewMetrics(Options{PerContainer: PerContainerAll, View: func() *View { panic("broken") }})
	reg.MustRegister(other, m)
	families, err := reg.Gather()
	families = append(families, m.Containers("docker_logs.0")...)
	if err == nil || !strings.Contains(err.Error(), "broken") || len(families) != 1 || families[0].GetName() != "other_total" {
		t.Errorf("%v %v", families, err)
	}
}
