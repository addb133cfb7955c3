package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ reader.Open   = (*Follow)(nil)
	_ reader.Reader = (*Poll)(nil)
	_ Host          = (*readertest.Stream)(nil)
)

// What was written since the log was last heard of is asked for, whatever the clock
// has done since: it may have been set back, and have come to the position again.
func TestLogIsAskedFromWhenItWasHeardOf(t *testing.T) {
	f := &asker{shared: &Shared{Ahead: &atomic.Int64{}}, memory: &Memory{}}
	p := position.Position{}
	p.Advance(position.Mark{TS: f.shared.now() + int64(900*time.Millisecond), Count: 1})
	f.memory.heardAt(time.Now())
	if tail, since := f.span(position.ByTime, &p); tail != position.ByTime || since >= p.Since() || since < p.Since()-5 {
		t.Errorf("tail %d since %d, where the position is at %d", tail, since, p.Since())
	}
}

// What was not compared with the log is left to the next run once.
func TestTrailIsLeftToTheNextRun(t *testing.T) {
	m := &Memory{}
	var p position.Trail
	m.leave(p)
	if left := m.takeTrail(); left.Unconfirmed() != 0 {
		t.Error("a trail out of nothing")
	}
	target := position.Position{}
	target.Advance(position.Mark{TS: 1, Count: 1})
	p.Start(&target)
	p.Push(&position.Mark{TS: 2, Count: 1})
	m.leave(p)
	if left := m.takeTrail(); left.Unconfirmed() != 1 {
		t.Errorf("%d marks were left", left.Unconfirmed())
	}
	if left := m.takeTrail(); left.Unconfirmed() != 0 {
		t.Error("it was left twice")
	}
}

// A log is opened again by who reads it and by who rotates its stream, at the same
// time.
func TestOpenedFromTwoSides(t *testing.T) {
	s := readertest.New(t, container.Container{ID: "c"})
	f := NewFollow(s.Log, s, &Shared{Client: &engine.Client{}, Ahead: &atomic.Int64{}}, &Memory{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				f.rate.since(f.Consumed(), turnTail)
				f.sound.readable(position.FirstTail)
				f.sound.found(1, 0)
				f.sound.grew(2)
			}
		})
	}
	wg.Wait()
	if tail, capped := f.sound.readable(position.FirstTail); tail != 1 && tail != 2 || !capped {
		t.Errorf("tail %d, capped %v, where only the last records can be read", tail, capped)
	}
}

// What a follow has left out right behind the last comparison is found by the next
// one, also where so much was written meanwhile that a tail begins behind it.
func TestLeftOutBeforeTheTail(t *testing.T) {
	for _, written := range []int{0, 100, 150, 1000} {
		t.Run(fmt.Sprint(written, " written meanwhile"), func(t *testing.T) {
			var follow *Follow
			var fake *dockertest.Ctr
			x := sourceOf(t, &fake, func(f *Follow) reader.Reader { follow = f; return f })
			s := readertest.New(t, x.Container)
			r := x.Open(s)
			n := 0
			write := func(k int) {
				for range k {
					x.Stdout(fmt.Sprint("line ", n))
					n++
				}
			}
			write(500)
			testkit.Must(t, r.Read(t.Context(), false))
			got := s.WaitTexts(500)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- r.Read(ctx, true) }()
			write(1)
			got = append(got, s.WaitTexts(1)...)
			fake.SkipFollowers(10)
			write(10 + 100)
			got = append(got, s.WaitTexts(100)...)
			fake.SkipFollowers(5)
			write(5 + 20)
			got = append(got, s.WaitTexts(20)...)
			cancel()
			<-done
			write(written)
			testkit.Must(t, follow.Read(t.Context(), false))
			got = append(got, s.Texts()...)
			seen := map[string]int{}
			for _, text := range got {
				seen[text]++
			}
			for i := range n {
				if k := seen[fmt.Sprint("line ", i)]; k != 1 {
					t.Fatalf("line %d came %d times", i, k)
				}
			}
			if k := testutil.ToFloat64(follow.shared.Late); k != 15 {
				t.Errorf("%v records are counted as late", k)
			}
			want := follow.trail.End()
			if have := follow.Position(); have.Anchor != want {
				t.Error("the position is not behind the last record of the log")
			}
		})
	}
}
