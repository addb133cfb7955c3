package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

// stoppedContainer has a log of n lines and does not run any more.
func stoppedContainer(b *testing.B, e *enginetest.Engine, n, size int) *enginetest.Container {
	c := e.Run(b, enginetest.Options{Args: []string{"-lines", fmt.Sprint(n), "-size", fmt.Sprint(size)}})
	c.Wait()
	return c
}

// readAll reads to the end of the log and returns how many records came.
func readAll(b *testing.B, s *stream) (records int) {
	done := make(chan error, 1)
	go func() { done <- newReaders(s).follow.Read(context.Background(), false) }()
	take := func() {
		for batch := s.all.Out.Next(); batch != nil; batch = s.all.Out.Next() {
			records += batch.Records
			s.all.Out.Appended()
		}
	}
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			take()
			return records
		case <-time.After(time.Millisecond):
			take()
		}
	}
}

// What it costs the Engine to resume at a position 100 lines before the end of
// a log of 200 MB, and what the same costs with since= alone.
func BenchmarkEngineResume(b *testing.B) {
	for _, e := range enginetest.All(b) {
		const lines, fresh = 1_000_000, 100
		c := stoppedContainer(b, e, lines, 120) // some 205 MB on disk
		s := newSet(b, e.Host).at(b, c.ID, position.Position{Kind: position.FromTail, Tail: fresh + 50})
		pid := testkit.EnginePID(b, e.Host)

		// The position: behind all but the last lines.
		var anchor position.Position
		n := 0
		body, err := s.all.Engine.Logs(b.Context(), c.ID, false, fresh+50, 0)
		if err != nil {
			b.Fatal(err)
		}
		w := decode.NewWindow(nil, false)
		for err == nil {
			_, err = w.Fill(body)
			if e := w.Each(errors.Is(err, io.EOF), func(e *decode.Entry) error {
				if n++; n <= 50 {
					anchor.Advance(position.MarkOf(e))
				}
				return nil
			}); e != nil {
				b.Fatal(e)
			}
		}
		w.Free()
		_ = body.Close()
		if !errors.Is(err, io.EOF) || n != fresh+50 {
			b.Fatal(n, err)
		}
		b.Run("anchored/Engine "+e.Version, func(b *testing.B) {
			before := testkit.CPUOf(b, pid)
			for b.Loop() {
				testkit.Must(b, s.BeginAt(b.Context(), anchor))
				if got := readAll(b, s); got != fresh {
					b.Fatalf("%d records", got)
				}
			}
			b.ReportMetric(float64(testkit.CPUOf(b, pid)-before)/1e6/float64(b.N), "engine-ms/op")
		})
		b.Run("since/Engine "+e.Version, func(b *testing.B) {
			since := time.Unix(0, anchor.Anchor.Newest().TS)
			before := testkit.CPUOf(b, pid)
			for b.Loop() {
				body, err := e.ContainerLogs(b.Context(), c.ID, containertypes.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true,
					Since: fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()), Tail: "all"})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				_ = body.Close()
			}
			b.ReportMetric(float64(testkit.CPUOf(b, pid)-before)/1e6/float64(b.N), "engine-ms/op")
		})
	}
}

// What a stream rotation costs the Engine and us, with a small and a large log,
// and what grows with a thousand of them.
func BenchmarkEngineRotation(b *testing.B) {
	for _, e := range enginetest.All(b) {
		for _, size := range []struct {
			name  string
			lines int
		}{{"1 MB", 5_000}, {"500 MB", 2_500_000}} {
			b.Run(size.name+"/Engine "+e.Version, func(b *testing.B) {
				c := e.Run(b, enginetest.Options{Args: []string{"-lines", fmt.Sprint(size.lines), "-size", "120", "-hold"}})
				s := newSet(b, e.Host).at(b, c.ID, position.Position{Kind: position.FromTail, Tail: 100})
				for last := int64(-1); ; time.Sleep(time.Second) { // until it is written
					inspected, err := s.all.Engine.Inspect(b.Context(), c.ID)
					if err != nil {
						b.Fatal(err)
					}
					now := int64(0)
					if st, err := os.Stat(inspected.LogPath); err == nil {
						now = st.Size()
					}
					if now == last && now > int64(size.lines)*120 {
						break
					}
					last = now
				}
				f := newReaders(s).follow
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				go func() { done <- f.Read(ctx, true) }()
				defer func() {
					cancel()
					<-done
				}()
				turn := func() {
					for s.age() == 0 {
						time.Sleep(50 * time.Microsecond)
					}
					before := testutil.ToFloat64(s.all.Metrics.Rotations)
					if err := f.Rotate(ctx); err != nil {
						b.Fatal(err)
					}
					for testutil.ToFloat64(s.all.Metrics.Rotations) == before || s.age() == 0 {
						time.Sleep(50 * time.Microsecond)
					}
				}
				for range 10 {
					turn()
				}
				pid := testkit.EnginePID(b, e.Host)
				fds, goroutines := testkit.FDs(), runtime.NumGoroutine()
				engine, own, n := testkit.CPUOf(b, pid), testkit.OwnCPU(b), 0
				for b.Loop() {
					turn()
					n++
				}
				b.ReportMetric(float64(testkit.CPUOf(b, pid)-engine)/1e6/float64(n), "engine-ms/op")
				b.ReportMetric(float64(testkit.OwnCPU(b)-own)/1e6/float64(n), "own-ms/op")
				time.Sleep(100 * time.Millisecond) // for the last one to close
				b.ReportMetric(float64(testkit.FDs()-fds)*1000/float64(n), "fds/1000")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)*1000/float64(n), "goroutines/1000")
			})
		}
	}
}

// What it costs to poll a log without news.
func BenchmarkPoll(b *testing.B) {
	host := testkit.FakeEngine(b, "-containers", "1", "-active", "0")
	set := newSet(b, host)
	list, err := set.tasks.Engine.List(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s := newStream(set.tasks.shared, list[0], position.Position{})
	p := newReaders(s).poll
	b.ReportAllocs()
	cpu := testkit.OwnCPU(b)
	for b.Loop() {
		if err := p.Ask(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((testkit.OwnCPU(b)-cpu).Microseconds())/float64(b.N), "cpu-us/op")
}
