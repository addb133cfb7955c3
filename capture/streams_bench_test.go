package capture

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/docker/enginetest"
)

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
				s := engineStream(b, e, c.ID, position.Position{Kind: position.FromTail, Tail: 100})
				for last := int64(-1); ; time.Sleep(time.Second) { // until it is written
					inspected, err := s.col.api.Inspect(b.Context(), c.ID)
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
				f := newReaders(s.col).follow
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				go func() { done <- f.read(ctx, s, true) }()
				defer func() {
					cancel()
					<-done
				}()
				turn := func() {
					for s.age() == 0 {
						time.Sleep(50 * time.Microsecond)
					}
					before := testutil.ToFloat64(s.col.metrics.rotations)
					if err := f.rotate(ctx, s); err != nil {
						b.Fatal(err)
					}
					for testutil.ToFloat64(s.col.metrics.rotations) == before || s.age() == 0 {
						time.Sleep(50 * time.Microsecond)
					}
				}
				for range 10 {
					turn()
				}
				pid := enginePID(b, e.Host)
				fds, goroutines := processFDs(), runtime.NumGoroutine()
				engine, own, n := cpuOf(b, pid), ownCPU(b), 0
				for b.Loop() {
					turn()
					n++
				}
				b.ReportMetric(float64(cpuOf(b, pid)-engine)/1e6/float64(n), "engine-ms/op")
				b.ReportMetric(float64(ownCPU(b)-own)/1e6/float64(n), "own-ms/op")
				time.Sleep(100 * time.Millisecond) // for the last one to close
				b.ReportMetric(float64(processFDs()-fds)*1000/float64(n), "fds/1000")
				b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)*1000/float64(n), "goroutines/1000")
			})
		}
	}
}

// How late a line is, by reader, from the Engine's timestamp to the batch.
func BenchmarkLatency(b *testing.B) {
	for _, e := range enginetest.All(b) {
		for _, reader := range []string{readerFile, readerFollow, readerPoll} {
			b.Run(reader+"/Engine "+e.Version, func(b *testing.B) {
				label := fmt.Sprint(time.Now().UnixNano())
				l := &lateness{}
				_, stop := l.run(b, testConfig(b, e.Host, map[string]string{"Reader": reader, "Include": "label.late=" + label}))
				defer stop()
				for range 5 {
					e.Run(b, enginetest.Options{Labels: map[string]string{"late": label}, Args: []string{"-lines", "1000000", "-rate", "7"}})
				}
				time.Sleep(3 * time.Second)
				l.reset()
				for b.Loop() {
					time.Sleep(20 * time.Second)
				}
				l.report(b, "late", func(string) bool { return true })
			})
		}
	}
}
