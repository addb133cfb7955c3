package capture

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
)

// kept is what must be after many containers as it was after the first thousand.
type kept struct {
	fds, goroutines, series, known int
	heap                           uint64
}

func (k kept) least(o kept) kept {
	return kept{min(k.fds, o.fds), min(k.goroutines, o.goroutines), min(k.series, o.series), min(k.known, o.known), min(k.heap, o.heap)}
}

// A day of containers that live for a moment leaves nothing behind, but what is
// remembered of the last ones. CHURN=50000 is the full number.
func TestChurn(t *testing.T) {
	const warm, atATime = maxGone + 200, 4
	total := fromEnv(t, "CHURN", 2_000)
	e := dockertest.Start(t)
	reg := prometheus.NewRegistry()
	wake := make(chan struct{}, 1)
	cfg := testConfig(t, e.Host(), map[string]string{"Resync_Interval": "1s", "Reader": "follow", "DB": t.TempDir() + "/db"})
	col, err := New(cfg, slog.New(slog.DiscardHandler), reg, func() { poke(wake) })
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = col.Run(ctx) })
	wg.Go(func() {
		for n := uint64(0); ; {
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
			for b := col.Next(); b != nil; b = col.Next() {
				n += uint64(b.Records)
				col.Appended()
				col.Ack(n)
			}
		}
	})
	defer func() {
		cancel()
		wg.Wait()
		must(t, col.Close())
	}()
	a := &agent{t: t, col: col, reg: reg}
	a.connected()
	db := e.Run(dockertest.Container{Name: "stays"})
	db.Stdout("line")

	churn := func(from, to int) {
		var live sync.WaitGroup
		for w := range atATime {
			live.Go(func() {
				for i := from + w; i < to; i += atATime {
					c := e.Run(dockertest.Container{Name: fmt.Sprint("job-", i), AutoRemove: true})
					c.Stdout("line")
					if err := c.WaitFollowers(ctx, 1); err != nil {
						t.Errorf("job-%d: %v", i, err)
						return
					}
					c.Stop()
				}
			})
		}
		live.Wait()
		a.waitFor("the streams to end", func() bool { return col.runningCount() == 1 }, 2*time.Minute)
	}
	measure := func() (k kept) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		families, err := reg.Gather()
		must(t, err)
		for _, f := range families {
			k.series += len(f.GetMetric())
		}
		col.api.closeIdle()
		col.mu.Lock()
		k.known = len(col.streams.byID) + len(col.streams.gone) + len(col.others) + len(col.loaded)
		col.mu.Unlock()
		k.heap, k.fds, k.goroutines = m.HeapAlloc, processFDs(), runtime.NumGoroutine()
		return k
	}
	churn(0, warm)
	before := measure()
	churn(warm, total)
	const heap = 4 << 20 // of the fake Engine's, and what the collector has not got at
	low := measure()
	same := func() bool {
		return low.fds <= before.fds && low.goroutines <= before.goroutines && low.series <= before.series &&
			low.known <= before.known+2*atATime && low.heap <= before.heap+heap
	}
	for end := time.Now().Add(waitTime); !same() && time.Now().Before(end); { // what leaks never comes down again
		low = low.least(measure())
	}
	if t.Logf("after %d containers %+v, after %d %+v", warm, before, total, low); !same() {
		t.Error("something grows")
	}
	if n := valueOf(col.metrics.lines); n != float64(total+1) {
		t.Errorf("%v lines of %d came", n, total+1)
	}
}
