package api

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/testkit"
)

// A look beside a follow delivers what the follow left out and the log holds still,
// and nothing of what the follow is still to send. What it holds no more is a gap.
func TestLookBesideAFollow(t *testing.T) {
	for _, api := range []string{"1.41", "1.44", "1.51"} {
		for _, c := range []struct {
			what       string
			skipped    int // by the follow, behind 500 lines; 20 more were sent
			kept       int // records of the log, 0: all
			compressed bool
			came       []int // lines that the look delivers
			gaps       int
		}{
			{what: "nothing left out"},
			{what: "left out", skipped: 10, came: until(500, 510)},
			{what: "the place that was confirmed is gone", skipped: 10, kept: 40, came: until(500, 510)},
			{what: "a part of it is gone", skipped: 10, kept: 25, came: until(505, 510), gaps: 1},
			{what: "all of it is gone", skipped: 10, kept: 15}, // which shows in nothing
			{what: "more than a tail", skipped: 1000, came: until(500, 1500)},
			{what: "more than a tail, a part is gone", skipped: 1000, kept: 520, came: until(1000, 1500), gaps: 1},
			{what: "of a log that others may hold", skipped: 10, compressed: true, came: until(500, 510)},
		} {
			t.Run(api+", "+c.what, func(t *testing.T) {
				var follow *Follow
				var fake *dockertest.Ctr
				x := sourceOf(t, &fake, func(f *Follow) reader.Reader { follow = f; return f }, dockertest.WithAPIVersion(api, ""))
				s := readertest.New(t, x.Container)
				s.Describe(func(d *container.Container) { d.Compressed, d.MaxFile = c.compressed, 5 })
				n := 0
				write := func(k int) {
					for range k {
						x.Stdout(line(n))
						n++
					}
				}
				write(500)
				r := x.Open(s)
				testkit.Must(t, r.Read(t.Context(), false))
				s.WaitTexts(500)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- r.Read(ctx, true) }()
				testkit.Must(t, fake.WaitFollowers(t.Context(), 1))
				testkit.Must(t, fake.WaitSent(t.Context()))
				fake.SkipFollowers(c.skipped)
				write(c.skipped + 20)
				s.WaitTexts(20)
				cancel()
				<-done
				if c.kept > 0 {
					fake.Forget(n - c.kept)
				}
				write(50) // which a follow would be still to send

				var want []string
				for _, i := range c.came {
					want = append(want, line(i))
				}
				gaps := c.gaps
				if follow.mayBeHeld() { // it may show what was delivered long ago
					want, gaps = nil, 0
				}
				for round := range 2 {
					if hole, err := follow.look(t.Context(), position.TrailMark{}); hole || err != nil {
						t.Fatal(hole, err)
					}
					testkit.CheckSequence(t, fmt.Sprint("look ", round), want, s.Texts())
					want = nil // each once
				}
				if have := s.Gaps(); have != gaps {
					t.Errorf("%d gaps, not %d", have, gaps)
				}
				if late := int(testutil.ToFloat64(follow.shared.Late)); late != len(c.came) && !follow.mayBeHeld() {
					t.Errorf("%d records are counted as late", late)
				}

				rest := until(n-50, n)
				if follow.mayBeHeld() {
					rest = append(c.came, rest...)
				}
				for i := range rest {
					want = append(want, line(rest[i]))
				}
				testkit.Must(t, r.Read(t.Context(), false))
				testkit.CheckSequence(t, "the rest", want, s.Texts())
				if have := s.Gaps(); have != gaps {
					t.Errorf("%d gaps at the end, not %d", have, gaps)
				}
			})
		}
	}
}

// A look before a record tells whether something was left out right before that.
func TestLookBeforeARecord(t *testing.T) {
	for _, skipped := range []int{0, 1, 100} {
		for _, compressed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d left out, compressed %v", skipped, compressed), func(t *testing.T) {
				var follow *Follow
				var fake *dockertest.Ctr
				x := sourceOf(t, &fake, func(f *Follow) reader.Reader { follow = f; return f }, dockertest.WithAPIVersion("1.41", ""))
				s := readertest.New(t, x.Container)
				s.Describe(func(d *container.Container) { d.Compressed, d.MaxFile = compressed, 5 })
				for i := range 100 {
					x.Stdout(line(i))
				}
				testkit.Must(t, x.Open(s).Read(t.Context(), false))
				s.WaitTexts(100)
				for i := range skipped + 10 {
					x.Stdout(line(100 + i))
				}
				var next decode.Entry // the first one that is sent
				testkit.Must(t, follow.stored(t.Context(), 10, func(e *decode.Entry) error {
					if string(e.Text) == line(100+skipped) {
						next = *e
						next.Text = slices.Clone(e.Text)
					}
					return nil
				}))
				m := position.MarkOf(&next)
				hole, err := follow.look(t.Context(), m.Single())
				testkit.Must(t, err)
				if hole != (skipped > 0) {
					t.Errorf("that something was left out is said: %v", hole)
				}
				testkit.CheckSequence(t, "lines", nil, s.Texts())
				testkit.Must(t, follow.lookBefore(t.Context(), &next))
				if have := s.Gaps(); have != min(1, skipped) {
					t.Errorf("%d gaps", have)
				}
			})
		}
	}
}

func line(i int) string { return fmt.Sprint("line ", i) }

// until is the numbers from one to before another.
func until(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}
