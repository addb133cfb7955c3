package main

import (
	"log/slog"
	"testing"
	"time"
)

// counter is a settable records counter.
type counter struct {
	n      uint64
	broken bool
}

func (c *counter) read() (uint64, bool) { return c.n, !c.broken }

type step struct {
	after  time.Duration
	append int
	count  int // moves the counter
	pause  bool
	resume bool
	want   uint64 // acked in total
	byAge  bool
}

func TestAcker(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name   string
		broken bool
		steps  []step
	}{
		{"the counter decides", false, []step{
			{append: 10, want: 0},
			{after: 100 * ms, count: 4, want: 4},
			{after: 100 * ms, append: 5, count: 6, want: 10},
			{after: 100 * ms, count: 5, want: 15},
			{after: 21000 * ms, want: 15},
		}},
		{"a pause of any length is no disagreement", false, []step{
			{append: 10, count: 7, want: 7},
			{after: 100 * ms, pause: true, want: 7},
			{after: time.Hour, want: 7},
			{after: 100 * ms, resume: true, want: 7},
			{after: 100 * ms, count: 3, want: 10},
		}},
		{"a slow ring is no disagreement", false, []step{
			{append: 10, count: 1, want: 1},
			{after: 19900 * ms, count: 1, want: 2},
			{after: 19900 * ms, count: 8, want: 10},
		}},
		{"dropped by a processor", false, []step{
			{append: 10, count: 7, want: 7},
			{after: 19000 * ms, want: 7},
			{after: 1100 * ms, byAge: true, want: 10},
			{append: 5, byAge: true, want: 10},
			{after: 900 * ms, byAge: true, want: 10},
			{after: 200 * ms, byAge: true, want: 15},
		}},
		{"made by a processor", false, []step{
			{append: 10, count: 11, byAge: true, want: 0},
			{after: 1100 * ms, byAge: true, want: 10},
		}},
		{"no counter, pause shortly after the append", true, []step{
			{append: 10, byAge: true, want: 0},
			{after: 900 * ms, pause: true, byAge: true, want: 0},
			{after: time.Minute, byAge: true, want: 0},
			{after: 100 * ms, resume: true, byAge: true, want: 0},
			{after: 900 * ms, byAge: true, want: 0},
			{after: 200 * ms, byAge: true, want: 10},
		}},
		{"no counter, steady flow", true, []step{
			{append: 1, byAge: true, want: 0},
			{after: 60 * ms, append: 1, byAge: true, want: 0},
			{after: 60 * ms, append: 1, byAge: true, want: 0},
			{after: 900 * ms, append: 1, byAge: true, want: 1},
			{after: 150 * ms, append: 1, byAge: true, want: 3},
			{after: 1100 * ms, byAge: true, want: 5},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &counter{n: 1000, broken: tc.broken}
			a := newAcker(c.read, slog.New(slog.DiscardHandler))
			now, paused := time.Unix(1e9, 0), false
			for i, s := range tc.steps {
				now = now.Add(s.after)
				c.n += uint64(s.count)
				if s.append > 0 {
					a.add(s.append, now)
				}
				if s.pause {
					paused = true
				}
				if s.resume {
					paused = false
					a.resumed(now)
				}
				got, _ := a.poll(now, paused)
				if got != s.want || a.byAge != s.byAge {
					t.Fatalf("step %d: acked %d, by age %v; want %d, %v", i, got, a.byAge, s.want, s.byAge)
				}
			}
		})
	}
}

func TestAckerBoundsTheRing(t *testing.T) {
	c := &counter{}
	a := newAcker(c.read, slog.New(slog.DiscardHandler))
	now := time.Unix(1e9, 0)
	for range maxInRing {
		if a.full() {
			t.Fatal("full too early")
		}
		a.add(10, now)
	}
	if !a.full() {
		t.Fatal("not full")
	}
	c.n = 19 // the second append is not yet through
	a.poll(now, false)
	if len(a.inRing) != maxInRing-1 || a.full() {
		t.Fatalf("%d appends in the ring, want %d", len(a.inRing), maxInRing-1)
	}
}

func TestParseRecords(t *testing.T) {
	const text = "# HELP fluentbit_input_records_total Number of input records.\n" +
		"# TYPE fluentbit_input_records_total counter\n" +
		"fluentbit_input_bytes_total{name=\"a\"} 1\n" +
		"fluentbit_input_records_total{name=\"ab\"} 2\n" +
		"fluentbit_input_records_total{name=\"a\"} 12345678901\n" +
		"fluentbit_input_records_total{host=\"h 1\",name=\"q\\\"} x\"} 4\n" +
		"fluentbit_input_records_total{nickname=\"z\"} 5\n" +
		"fluentbit_input_records_total{name=\"big\"} 1.0000000000000000e+17\n" +
		"fluentbit_input_records_total{name=\"bad\"} ?\n" +
		"fluentbit_input_records_total{name=\"torn\"}"
	for name, want := range map[string]uint64{"ab": 2, "a": 12345678901, `q"} x`: 4, "big": 1e17} {
		if got, ok := parseRecords([]byte(text), name); !ok || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "z", "bad", "torn", "none"} {
		if got, ok := parseRecords([]byte(text), name); ok {
			t.Errorf("%s: found %d", name, got)
		}
	}
}
