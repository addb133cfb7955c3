package soak

import (
	"strings"
	"testing"
	"time"
)

// TestSink: the records of both agents are counted, and what is no record is an error.
func TestSink(t *testing.T) {
	for _, c := range []struct{ text, fault string }{
		{`{"log":"run stdout 1 x","stream":"stdout","container_id":"c"}` + "\n" +
			`{"tag":"t","time":"1.5","record":{"log":"run stdout 2 x","stream":"stdout","container_id":"c"}}` + "\n", ""},
		{"half a reco\n", "half a reco"},
	} {
		a := newTally("run")
		s, err := newSink(t.TempDir(), a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.pipe.WriteString(c.text); err != nil {
			t.Fatal(err)
		}
		err = s.finish(t.Context())
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, want one about %q", err, c.fault)
			}
			continue
		}
		if sum, foreign := a.total(map[Key]int{{"c", "stdout"}: 2}); err != nil || sum != (Count{Lines: 2}) || foreign != 0 {
			t.Errorf("%+v, %d foreign, %v", sum, foreign, err)
		}
	}
}

func TestParse(t *testing.T) {
	m, err := parse(strings.NewReader(`# TYPE log_capturer_streams gauge
log_capturer_streams{instance="a",reader="file"} 3
log_capturer_streams{instance="b",reader="follow"} 4
# TYPE log_capturer_container_stream_age_seconds summary
log_capturer_container_stream_age_seconds_sum{container_name="web"} 31.5
log_capturer_container_stream_age_seconds_count{container_name="web"} 2
`))
	if err != nil {
		t.Fatal(err)
	}
	if m.Sum("log_capturer_streams") != 7 || m.Max("log_capturer_streams") != 4 || m.Sum("nothing") != 0 {
		t.Errorf("%v", m)
	}
	if by := m.By("log_capturer_container_stream_age_seconds_count", "container_name"); len(by) != 1 || by["web"] != 2 {
		t.Errorf("%v", by)
	}
	if m.Sum("log_capturer_container_stream_age_seconds_sum") != 31.5 {
		t.Errorf("%v", m)
	}
	if _, err := parse(strings.NewReader("no metrics {")); err == nil {
		t.Error("garbage is taken for metrics")
	}
}

// TestMoments: the checkpoints are even, with the baseline, and with the critical one wherever the run lasts so long.
func TestMoments(t *testing.T) {
	for _, c := range []struct {
		config            Config
		checkpoints, crit int
	}{
		{Config{}, 16, 1}, // seven minutes lie between two of fifteen
		{Config{Duration: 14 * time.Minute, Checkpoints: 2}, 2, 1}, // the first is the critical one
		{Config{Duration: time.Minute, Checkpoints: 5}, 5, 0},      // too short
		{Config{Duration: 7 * time.Minute, Checkpoints: 7}, 7, 1},  // the last is the critical one
	} {
		c.config.setDefaults()
		if err := c.config.check(); err != nil {
			t.Fatal(err)
		}
		n, crit, baseline, last := 0, 0, 0, time.Duration(0)
		for _, m := range c.config.moments() {
			if m.at < last {
				t.Errorf("%v: %v after %v", c.config, m.at, last)
			}
			last = m.at
			switch {
			case m.baseline:
				baseline++
			default:
				n++
			}
			if m.critical {
				crit++
				if m.at != Critical {
					t.Errorf("%v: critical at %v", c.config, m.at)
				}
			}
		}
		if n != c.checkpoints || crit != c.crit || baseline != 1 || last != c.config.Duration {
			t.Errorf("%+v: %d checkpoints, %d critical, %d baselines, the last at %v", c.config, n, crit, baseline, last)
		}
	}
	d := Config{}
	d.setDefaults()
	if d.Duration != 30*time.Minute || d.Rotate != 30*time.Second || d.Containers != 8 || d.Checkpoints != 15 || d.warmUp() != 90*time.Second {
		t.Errorf("%+v", d)
	}
	for _, bad := range []Config{{Containers: 1}, {Duration: time.Second}, {Rotate: time.Hour}, {Checkpoints: -1}} {
		bad.setDefaults()
		if bad.check() == nil {
			t.Errorf("%+v is taken for a soak", bad)
		}
	}
}
