package capture_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/status"
)

// series finds a metric by its labels; nil if there is none.
func (a *agent) series(name string, labels ...string) *dto.Metric {
	a.t.Helper()
	families, err := a.reg.Gather()
	must(a.t, err)
	for _, f := range append(families, a.col.PerContainer("docker_logs.0")...) {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && !missing(labelsOf(m), labels) {
				return m
			}
		}
	}
	return nil
}

func missing(have string, labels []string) bool {
	for _, l := range labels {
		if !strings.Contains(have, l+" ") {
			return true
		}
	}
	return false
}

// Each container has its lines, and its rotations as the count of a histogram,
// until it was removed; a renamed one has its new name.
func TestSeriesOfContainers(t *testing.T) {
	inVirtualTime(t, map[string]string{"Reader": readerFollow, "Metrics_Per_Container": "all"}, func(t *testing.T, e *dockertest.Engine, a *agent) {
		web, db := e.Run(dockertest.Container{Name: "web"}), e.Run(dockertest.Container{Name: "db"})
		web.Stdout(sequence("stdout", 0, 7)...)
		db.Stdout("one")
		a.waitTexts(web.ID, "", 7)
		a.waitTexts(db.ID, "", 1)
		id := "container_id=" + web.ID
		if m := a.series("log_capturer_container_lines_total", id, "container_name=web"); m.GetCounter().GetValue() != 7 {
			t.Errorf("lines of web: %v", m)
		}
		a.waitFor("a rotation of each", func() bool {
			return a.series("log_capturer_container_stream_age_seconds", id).GetSummary().GetSampleCount() > 0 &&
				a.series("log_capturer_container_stream_age_seconds", "container_name=db").GetSummary().GetSampleCount() > 0
		})
		web.Rename("shop")
		a.waitFor("the new name", func() bool { return a.series("log_capturer_container_lines_total", id, "container_name=shop") != nil })
		if a.series("log_capturer_container_lines_total", "container_name=web") != nil {
			t.Error("the old name is still there")
		}

		web.Remove()
		a.waitFor("the removal", func() bool { return a.stream(web.ID).State == status.Removed })
		if m := a.series("log_capturer_container_lines_total", id); m.GetCounter().GetValue() != 7 {
			t.Errorf("just after the removal: %v", m)
		}
		time.Sleep(time.Minute)
		for _, name := range []string{"lines_total", "lag_seconds", "stream_age_seconds"} {
			if m := a.series("log_capturer_container_"+name, id); m != nil {
				t.Errorf("a minute later: %v", m)
			}
			if a.series("log_capturer_container_"+name, "container_name=db") == nil {
				t.Errorf("%s of db has gone, too", name)
			}
		}
		for _, st := range a.col.Streams() {
			if st.ID == web.ID {
				t.Errorf("%+v", st)
			}
		}
	})
}

func TestNoSeriesOfContainers(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Metrics_Per_Container": "off"})
	a.connected()
	e.Run(dockertest.Container{Name: "web"}).Stdout("line")
	a.waitRecords(1)
	if m := a.series("log_capturer_container_lines_total"); m != nil {
		t.Errorf("%v", m)
	}
	if m := a.series("log_capturer_lines_total"); m.GetCounter().GetValue() != 1 {
		t.Errorf("%v", m)
	}
}

// All metrics keep to Prometheus' rules, and each is there from the start.
func TestMetricsAreClean(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"DB": t.TempDir() + "/db"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("line")
	a.waitRecords(1)
	a.waitFor("an acknowledgement", func() bool {
		return a.series("log_capturer_delivery_latency_seconds").GetHistogram().GetSampleCount() > 0
	})
	problems, err := testutil.GatherAndLint(a.reg)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name, want := range map[string]float64{"appended_records_total": 1, "acked_records_total": 1} {
		if m := a.series("log_capturer_" + name); m.GetCounter().GetValue() != want {
			t.Errorf("%s: %v", name, m)
		}
	}
	for name, want := range map[string]float64{"engine_up": 1, "build_info": 1, "degraded": 0, "outstanding_records": 0, "outbox_bytes": 0, "tasks_leaked": 0} {
		if m := a.series("log_capturer_" + name); m == nil || m.GetGauge().GetValue() != want {
			t.Errorf("%s: %v", name, m)
		}
	}
	for _, labels := range []string{"streams reader=follow", "task_heartbeat_age_seconds task=discovery", "open_fds kind=connections", "process_open_fds",
		"goroutines", "checkpoint_age_seconds", "lag_seconds", "reconnects_total reason=eof", "task_stalls_total task=stream"} {
		name, label, _ := strings.Cut(labels, " ")
		if a.series("log_capturer_"+name, strings.Fields(label)...) == nil {
			t.Errorf("no %s", labels)
		}
	}
}

// While Fluent Bit takes nothing, streams say so, and their lag grows.
func TestBlockedStreamsLag(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Buffer_Limit": "1M"})
	a.connected()
	a.pause(true)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Flood(dockertest.Stdout, 5000, func(dst []byte, _ int) []byte { return append(dst, strings.Repeat("x", 500)...) })
	a.waitFor("a stream that is blocked and lags", func() bool {
		s := a.col.Streams()
		return len(s) == 1 && s[0].State == status.Blocked && s[0].Lag > 0.1 && a.series("log_capturer_lag_seconds").GetGauge().GetValue() > 0.1
	})
	a.pause(false)
	a.waitTexts(c.ID, "", 5000)
	a.waitFor("its rest", func() bool { s := a.col.Streams(); return s[0].State == status.Reading && s[0].Lag == 0 })
}

// By default only containers that are a minute old have series: however many live
// for less, Prometheus gets none for them.
func TestSeriesOfOldContainersOnly(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, e *dockertest.Engine, a *agent) {
		old := e.Run(dockertest.Container{Name: "old"})
		old.Stdout("line")
		a.waitRecords(1)
		if m := a.series("log_capturer_container_lines_total"); m != nil {
			t.Errorf("%v", m)
		}
		time.Sleep(time.Minute)
		e.Run(dockertest.Container{Name: "young"}).Stdout("line")
		a.waitRecords(2)
		if a.series("log_capturer_container_lines_total", "container_id="+old.ID, "container_name=old") == nil {
			t.Error("no series of the old one")
		}
		if m := a.series("log_capturer_container_lines_total", "container_name=young"); m != nil {
			t.Errorf("%v", m)
		}
	})
}

// The last warning or error is kept, with whose it is, also where Log_Level suppresses
// it. A container's own needs no name.
func TestLastError(t *testing.T) {
	var l, own say.LastError
	all := l.Remember(slog.New(slog.DiscardHandler))
	log := own.Remember(all.With("container", "web"))
	log.Info("fine")
	if text, at := l.Get(); text != "" || at != nil {
		t.Errorf("%q %v", text, at)
	}
	for _, c := range []struct {
		warn      func()
		want, own string
	}{
		{func() { log.Warn("reading failed", "error", errors.New("no answer")) }, "web: reading failed: no answer", "reading failed: no answer"},
		{func() { log.WithGroup("g").Error("again") }, "web: again", "again"},
		{func() { all.Warn("not inspected", "container", "db", "error", errors.New("busy")) }, "db: not inspected: busy", "again"},
		{func() { all.Warn("no Engine") }, "no Engine", "again"},
	} {
		c.warn()
		if text, at := l.Get(); text != c.want || at == nil || time.Since(*at) > time.Minute {
			t.Errorf("%q %v, want %q", text, at, c.want)
		}
		if text, _ := own.Get(); text != c.own {
			t.Errorf("the container's own is %q, want %q", text, c.own)
		}
	}
}
