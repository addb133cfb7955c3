package api

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/testkit"
)

// A container that is removed between two requests for its log may have written in
// between; one whose log was sent to its end has not.
func TestRemovedBetweenTwoRequests(t *testing.T) {
	for _, c := range []struct {
		what    string
		written int // so much that a look at the log is needed before it can be followed
		removed int // before which request
		cutOff  bool
	}{
		{"when it was to be followed", 100, 4, true},
		{"when it was to be looked at", 100, 3, true},
		{"behind the look for its last record", 100, 2, true},
		{"at the first request", 100, 1, false}, // the one before says what is lost
		{"behind its end", 10, 3, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			var fake *dockertest.Ctr
			x := sourceOf(t, &fake, func(f *Follow) reader.Reader { return f })
			s := readertest.New(t, x.Container)
			r := x.Open(s)
			x.Stdout("first")
			testkit.Must(t, r.Read(t.Context(), false))
			s.WaitTexts(1)
			for i := range c.written {
				x.Stdout(fmt.Sprint("line ", i))
			}
			asked := 0
			if c.removed == 1 {
				fake.Stop()
				fake.Remove()
			}
			fake.BeforeLog(func(dockertest.LogQuery) {
				// It is gone for the request behind this one, which is served still.
				if asked++; asked == c.removed-1 {
					fake.Stop()
					fake.Remove()
				}
			})
			err := r.Read(t.Context(), true)
			if err == nil {
				err = r.Read(t.Context(), true)
			}
			if !errors.Is(err, engine.ErrGone) {
				t.Fatalf("it ends with %v", err)
			}
			if have := slices.Contains(s.Notes(), "cut off"); have != c.cutOff {
				t.Errorf("that it may have written unseen is said: %v", have)
			}
		})
	}
}

// A log that was rotated since it was read has no hole for that, also where it begins
// with a record without a time now.
func TestRotatedLogHasNoHole(t *testing.T) {
	for _, stamp := range []string{"0001-01-01T00:00:00Z", "2026-01-02T00:00:00Z"} {
		var follow *Follow
		var fake *dockertest.Ctr
		x := sourceOf(t, &fake, func(f *Follow) reader.Reader { follow = f; return f })
		x.Open(readertest.New(t, x.Container))
		for range 10 {
			fake.Stamped(stamp, dockertest.Stdout, "line")
		}
		gone := position.TrailMark{TS: 1767225600e9, Hash: 1, Size: 4} // of the day before
		if hole, err := follow.sound.hasHole(t.Context(), &position.Anchor{}, 5, position.FirstTail, gone, false); hole || err != nil {
			t.Errorf("%s: %v %v", stamp, hole, err)
		}
	}
}
