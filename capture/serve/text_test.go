package serve

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"fluent-bit-docker-logs/capture/supervise"
)

// collected are metrics of every kind, with what is hard to write.
func collected(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	reg := prometheus.NewRegistry()
	counters := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "a_total", Help: "With \"quotes\", a \\ and\na second line."}, []string{"of", "value"})
	gauges := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "b", Help: ""}, []string{"of"})
	sums := prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "c_seconds", Help: "Sums."}, []string{"of"})
	quantiles := prometheus.NewSummary(prometheus.SummaryOpts{Name: "d_seconds", Help: "Quantiles.", Objectives: map[float64]float64{.5: .05}})
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "e_seconds", Help: "Buckets.", Buckets: []float64{.5, 1}})
	untyped := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "f", Help: "Untyped."}, func() float64 { return 1 })
	alone := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "Without labels."})
	reg.MustRegister(counters, gauges, sums, quantiles, histogram, untyped, alone)
	for i, v := range []float64{0, 1, 999999, 1e6, 1e6 + 1, 123456789, 1 << 53, 1e21, .1, 1e-7, 1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1)} {
		for _, of := range []string{"", "web", `"`, `\`, "\n", `a\nb`, "größe", "x\"y\\z\n"} {
			counters.WithLabelValues(of, string(rune('a'+i))).Add(v)
		}
		gauges.WithLabelValues(string(rune('a' + i))).Set(-v)
		sums.WithLabelValues(string(rune('a' + i))).Observe(v)
		quantiles.Observe(v)
		histogram.Observe(v)
	}
	gauges.WithLabelValues("none").Set(math.NaN())
	gauges.WithLabelValues("zero").Set(math.Copysign(0, -1))
	families, err := reg.Gather()
	must(t, err)
	timed := dto.MetricType_GAUGE
	return append(families,
		&dto.MetricFamily{Name: new("h"), Type: &timed, Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(2.0)}}}}, // without help
		&dto.MetricFamily{Name: new("i"), Help: new("At a time."), Type: &timed, Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(3.0)}, TimestampMs: new(int64(1700000000000))}}},
		&dto.MetricFamily{Name: new("j"), Help: new("Empty."), Type: &timed},
	)
}

// What is written is what expfmt writes.
func TestTextIsAsExpfmtWritesIt(t *testing.T) {
	for _, f := range collected(t) {
		var want, have bytes.Buffer
		_, _ = expfmt.MetricFamilyToText(&want, f) // fails for the empty one, of which nothing is written
		writeFamilies(&have, []*dto.MetricFamily{f})
		if have.String() != want.String() {
			t.Errorf("%s is written\n%s\nwant\n%s", f.GetName(), &have, &want)
		}
	}
}

// An answer has the type, the encoding and the text that promhttp gives it, whatever is asked for.
func TestAnswersAreAsPromhttpGivesThem(t *testing.T) {
	families := collected(t)
	gather := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })
	e := &endpoint{busy: make(supervise.Semaphore, maxRequests)}
	in := (&input{}).as("docker_logs.0")
	in.Metrics = gather
	e.add(&shown{Input: in})
	want := promhttp.HandlerFor(gather, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	for _, accept := range []string{
		"", "*/*", "text/plain", "text/plain;version=0.0.4;escaping=allow-utf-8", "application/json",
		"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3",
	} {
		for _, encoding := range []string{"", "gzip", "gzip, deflate;q=0.5", "deflate, gzip;q=1.0", "identity", "deflate", "gzip;q=0", "gzip; q=0.0", "*", "zstd"} {
			for _, query := range []string{"", "?name[]=g"} {
				ask := func(h http.Handler) (http.Header, string) {
					r := httptest.NewRequest("GET", "/metrics"+query, nil)
					r.Header.Set("Accept", accept)
					r.Header.Set("Accept-Encoding", encoding)
					w := httptest.NewRecorder()
					h.ServeHTTP(w, r)
					body := io.Reader(w.Body)
					if w.Header().Get("Content-Encoding") == "gzip" {
						zip, err := gzip.NewReader(body)
						must(t, err)
						body = zip
					}
					text, err := io.ReadAll(bufio.NewReader(body))
					must(t, err)
					return w.Header(), string(text)
				}
				have, text := ask(metricsOf(e.gather))
				wanted, wantText := ask(want)
				for _, name := range []string{"Content-Type", "Content-Encoding"} {
					if have.Get(name) != wanted.Get(name) {
						t.Errorf("Accept %q, Accept-Encoding %q %s: %s is %q, want %q", accept, encoding, query, name, have.Get(name), wanted.Get(name))
					}
				}
				if len(have["Vary"]) != 2 {
					t.Errorf("Accept %q: Vary is %q", accept, have["Vary"])
				}
				if text != wantText {
					t.Errorf("Accept %q, Accept-Encoding %q %s:\n%s\nwant\n%s", accept, encoding, query, text, wantText)
				}
			}
		}
	}
}
