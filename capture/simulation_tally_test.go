package capture_test

import (
	"strings"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// tally compares the metrics of an agent that has ended with what was counted.
func (w *world) tally(a *simAgent) {
	var left totalOf
	for b := a.col.Next(); b != nil; b = a.col.Next() {
		rs, err := decodeRecords(b.Tag, b.Buf)
		must(w.t, err)
		left.add(rs)
		a.col.Appended()
	}
	m := a.col.Counted()
	equal := func(what string, have, want float64) {
		if have != want {
			w.find("metrics: %v %s, there were %v", have, what, want)
		}
	}
	equal("lines", testutil.ToFloat64(m.Lines), a.took.records-a.gaveBack.records+left.records)
	equal("bytes", testutil.ToFloat64(m.Bytes), a.took.bytes-a.gaveBack.bytes+left.bytes)
	equal("truncated lines", testutil.ToFloat64(m.Truncated), a.took.partial-a.gaveBack.partial+left.partial)
	appended, acked, refused := a.col.Outbox().Totals()
	equal("records appended", float64(appended), a.took.records+left.records)
	equal("records refused", float64(refused), a.gaveBack.records)
	equal("records outstanding", float64(appended-acked-refused), float64(recordsIn(a.ring)+recordsIn(a.chunks))+left.records)

	gaps, missed, unpolled, summed := 0.0, 0.0, 0.0, false
	w.mu.Lock()
	for _, s := range w.said {
		switch {
		case s.agent != a.no:
		case strings.Contains(s.text, "before its log could be opened"):
			missed++
		case strings.HasPrefix(s.text, "the container was removed while"):
			unpolled++
		default:
			gaps += float64(s.times)
			summed = summed || s.summed
		}
	}
	w.mu.Unlock()
	if have := testutil.ToFloat64(m.Gaps); !summed || have < gaps {
		equal("gaps", have, gaps)
	}
	equal("missed containers", testutil.ToFloat64(m.Missed), missed)
	equal("containers removed while they were polled", testutil.ToFloat64(m.Unpolled), unpolled)
	w.stats.late += a.lates
	if late := testutil.ToFloat64(m.Late); float64(a.lates) > late {
		w.find("%d lines came behind younger ones, %v are counted as late", a.lates, late)
	}
}

// leftBehind says what an agent that was closed holds still.
func (w *world) leftBehind(a *simAgent) {
	synctest.Wait()
	if n := a.col.StreamSet().OpenFiles(); n != 0 {
		w.find("%d log files are open after the end", n)
	}
	if n, m, k := a.col.API().Connections(), w.e.OpenConns(), w.e.Followers(); n+m+k != 0 {
		w.find("after the end %d connections are open, %d at the Engine, %d log requests", n, m, k)
	}
}
