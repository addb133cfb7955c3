package serve

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// metricsOf serves metrics as promhttp does.
//
// Text, which is what Prometheus asks for, is written here (see writeFamily); the rest is left to promhttp: other formats, and
// requests for some metrics only.
func metricsOf(gather prometheus.GathererFunc) http.HandlerFunc {
	others := promhttp.HandlerFor(gather, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // one metric that fails hides no other
	})
	return func(w http.ResponseWriter, r *http.Request) {
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultAcceptedFormats()...)
		if format.FormatType() != expfmt.TypeTextPlain || r.URL.RawQuery != "" {
			others.ServeHTTP(w, r)
			return
		}
		families, err := gather()
		if err != nil && len(families) == 0 { // else one metric that fails hides no other
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header()["Vary"] = []string{"Accept", "Accept-Encoding"}
		w.Header().Set("Content-Type", string(format))
		if acceptsGzip(r.Header) {
			w.Header().Set("Content-Encoding", "gzip")
			zip := zippers.Get().(*gzip.Writer)
			defer zippers.Put(zip)
			zip.Reset(w)
			writeFamilies(zip, families)
			_ = zip.Close() // the client went away
			zip.Reset(nil)  // else the pool keeps the connection
			return
		}
		writeFamilies(w, families)
	}
}

// zippers are gzip.Writers, which are too large to be made for each scrape.
var zippers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for levels that do not exist
	return w
}}

// acceptsGzip says whether the client takes an answer that is compressed so.
func acceptsGzip(h http.Header) bool {
	for name := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(name, " ", ""), ";")
		if name == "gzip" {
			return strings.Trim(weight, "q=0.") != "" || weight == ""
		}
	}
	return false
}

// writeFamilies writes metrics in the text format, in pieces of 64 KiB.
func writeFamilies(w io.Writer, families []*dto.MetricFamily) {
	out := bufio.NewWriterSize(w, 64<<10)
	for _, f := range families {
		if len(f.Metric) > 0 {
			writeFamily(out, f)
		}
	}
	_ = out.Flush() // the client went away
}

// gather implements prometheus.Gatherer for all instances. What each of them has
// bears its name, so that no two have the same: it is put together as it is.
func (e *endpoint) gather() (all []*dto.MetricFamily, err error) {
	byName := make(map[string]*dto.MetricFamily)
	for _, s := range e.instances() {
		families, failed := s.Metrics.Gather()
		err = errors.Join(err, failed)
		if s.Containers != nil {
			families = append(families, s.Containers(s.Name)...)
		}
		for _, f := range families {
			if first := byName[f.GetName()]; first != nil {
				first.Metric = append(first.Metric, f.Metric...)
				continue
			}
			byName[f.GetName()] = f
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all, err
}
