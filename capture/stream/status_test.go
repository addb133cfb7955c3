package stream

import (
	"math"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/status"
)

// A read that goes on for a while is well, also where nothing was written.
func TestQuietStreamIsNotFailing(t *testing.T) {
	s := benchStream(t)
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, c := range []struct {
		what             string
		doing            string
		synced, lastPoll time.Time
		moved            time.Time
		want             bool
	}{
		{"retries", status.Retrying, time.Time{}, time.Time{}, time.Time{}, true},
		{"opens, which may take long", status.Reading, time.Time{}, time.Time{}, time.Time{}, true},
		{"reads", status.Reading, ago(time.Minute), time.Time{}, time.Time{}, false},
		{"is polled", status.Reading, time.Time{}, ago(time.Second), time.Time{}, false},
		{"has delivered", status.Retrying, time.Time{}, time.Time{}, ago(time.Second), false},
	} {
		s.failing, s.doing, s.doingSince, s.synced, s.lastPoll = ago(time.Hour), c.doing, ago(time.Minute), c.synced, c.lastPoll
		if have := s.failingFor(c.moved) > 0; have != c.want {
			t.Errorf("one that %s: %v", c.what, have)
		}
	}
}

// A stream that has read for a while is well also while its log is opened anew.
func TestRotatedStreamIsNotFailing(t *testing.T) {
	s := benchStream(t)
	for _, c := range []struct {
		what string
		read time.Duration
		want bool
	}{{"has read for a while", time.Minute, false}, {"has just begun to read", time.Second, true}} {
		now := time.Now()
		s.failing, s.doing, s.doingSince, s.synced = now.Add(-time.Hour), status.Reading, now.Add(-c.read), now
		s.rotated()
		if have := s.failingFor(time.Time{}) > 0; have != c.want {
			t.Errorf("one that %s: %v", c.what, have)
		}
	}
}

// A read that brought nothing has failed since it began.
func TestFailsSinceItBegan(t *testing.T) {
	s := benchStream(t)
	s.failing, s.doing, s.synced, s.lastPoll = time.Time{}, status.Reading, time.Time{}, time.Time{}
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	began := ago(5 * time.Minute)
	if since := s.failed(began, false); !since.Equal(began) {
		t.Errorf("since %v, it began at %v", since, began)
	}
	if since := s.failed(ago(time.Minute), false); !since.Equal(began) {
		t.Errorf("the second one since %v", since)
	}
	if since := s.failed(ago(time.Minute), true); time.Since(since) > 30*time.Second {
		t.Errorf("one that came on since %v", since)
	}
}

// What was in sync when it was rotated has failed since then, whatever came before; what
// was not is still looked for.
func TestFailsSinceItWasRotated(t *testing.T) {
	s := benchStream(t)
	for _, inSync := range []bool{true, false} {
		began := time.Now().Add(-time.Hour)
		s.failing, s.doing, s.synced, s.opening, s.lastPoll = time.Time{}, status.Reading, time.Time{}, began, time.Time{}
		if inSync {
			s.synced = began.Add(time.Second)
		}
		s.rotated()
		since := s.failed(began, false)
		if inSync != (time.Since(since) < time.Minute) || !inSync && !since.Equal(began) {
			t.Errorf("in sync: %v; it fails since %v", inSync, since)
		}
	}
}

func TestLag(t *testing.T) {
	now := time.Unix(1000, 0)
	before := func(s float64) time.Time { return now.Add(-time.Duration(s * float64(time.Second))) }
	for _, test := range []struct {
		what        string
		moved, last float64 // seconds ago; < 0: never
		doing       string
		since       float64
		comes       bool
		want        float64
	}{
		{"it reads what was just written", 0.1, 0.2, status.Reading, 60, false, 0.1},
		{"it reads what was written an hour ago", 0.1, 3600, status.Reading, 60, false, 3599.9},
		{"it has come to rest", 5, 3600, status.Reading, 60, false, 0},
		{"a record comes slowly, as the one before", 5, 3600, status.Reading, 60, true, 3595},
		{"a record comes slowly behind a silence", 3600, 3600.5, status.Reading, 7200, true, 0.5},
		{"it has read nothing yet", -1, -1, status.Reading, 60, false, 0},
		{"nothing is taken any more", 30, 30.5, status.Blocked, 30, false, 30.5},
		{"nothing is taken any more, and it was quiet before", 500, 500, status.Blocked, 30, false, 30},
		{"it cannot be read", 500, 500, status.Retrying, 30, false, 30},
		{"the Engine is away", 500, 500, status.Waiting, 30, false, 30},
		{"the clocks differ", 0.1, 0, status.Reading, 60, false, 0},
	} {
		moved, last := before(test.moved), before(test.last).UnixNano()
		if test.moved < 0 {
			moved, last = time.Time{}, 0
		}
		if have := lag(now, moved, last, test.doing, before(test.since), test.comes); math.Abs(have-test.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", test.what, have, test.want)
		}
	}
}

// A poll whose answer takes long may be behind by what was written since the last one
// began, also in the moments after it.
func TestLagOfALongPoll(t *testing.T) {
	for _, c := range []struct{ polled, took, asking, want float64 }{
		{100, 1, 1, 0},
		{100, 1, 3, 100},
		{100, 70, 1, 100},
		{100, 99, 0, 100},
		{0, 0, 30, 30},
	} {
		s := benchStream(t)
		ago := func(s float64) time.Time { return time.Now().Add(-time.Duration(s * float64(time.Second))) }
		s.doing, s.doingSince, s.opening, s.asking = status.Reading, ago(200), ago(c.asking), ago(c.asking)
		if c.asking == 0 {
			s.asking = time.Time{}
		}
		s.pollTook = time.Duration(c.took * float64(time.Second))
		if c.polled > 0 {
			s.lastPoll = ago(c.polled)
		}
		s.notes.note(Poll)
		if have := s.status("").Lag; math.Abs(have-c.want) > 0.5 {
			t.Errorf("%+v: %v", c, have)
		}
	}
}
