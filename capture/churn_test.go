package capture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/supervise"
)

// churning is a capture of containers that come and go.
type churning struct {
	*agent

	e      *dockertest.Engine
	logDir string // of the containers' log files; empty: they have none
	atOnce int
	pause  time.Duration // that each worker makes between two containers
	ended  func()
}

func startChurning(t *testing.T, e *dockertest.Engine, host string, opts map[string]string, tune ...func(*Config)) *churning {
	reg := prometheus.NewRegistry()
	wake := make(chan struct{}, 1)
	opts["DB"], opts["Exclude"] = t.TempDir()+"/db", "skip-*"
	col, err := New(testConfig(t, host, opts, tune...), slog.New(slog.DiscardHandler), reg, func() { supervise.Poke(wake) })
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
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
	k := &churning{agent: &agent{t: t, col: col, reg: reg}, e: e, atOnce: 4}
	k.ended = func() {
		cancel()
		wg.Wait()
		must(t, col.Close())
	}
	k.connected()
	return k
}

// live is how many containers live, and how many of them are to be captured, are
// captured for sure, and may be removed before their log is opened.
type live struct{ sure, perhaps int }

// churn lets containers live for a moment, as many as there are from one number
// to another: most are removed by themselves, some by force, some are left out,
// some never start, and some are gone before anybody looks.
func (k *churning) churn(from, to int) (n live) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range k.atOnce {
		wg.Go(func() {
			for i := from + w; i < to; i += k.atOnce {
				time.Sleep(k.pause)
				spec := dockertest.Container{Name: fmt.Sprint("job-", i), AutoRemove: true}
				if i%2 == 0 {
					spec.LogDir = k.logDir
				}
				kind := i % 16
				if kind == 5 {
					spec.Name = fmt.Sprint("skip-", i)
				}
				c := k.e.Create(spec)
				if kind == 7 {
					c.Remove()
					continue
				}
				c.Start()
				c.Stdout("line")
				switch kind {
				case 5, 9:
				default:
					k.waitFor("the log of "+spec.Name+" to be open", func() bool {
						s := k.col.captured(c.ID)
						return s != nil && s.age() > 0
					})
				}
				if kind == 11 {
					c.Remove()
				} else {
					c.Stop()
				}
				mu.Lock()
				switch kind {
				case 5:
				case 9:
					n.perhaps++
				default:
					n.sure++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	k.waitFor("the streams to end", func() bool { return k.col.runningCount() == 1 }, 2*time.Minute)
	return n
}

// kept is what must be after many containers as it was after the first thousand.
type kept struct {
	fds, goroutines, series, known int
	heap                           uint64
}

func (k kept) least(o kept) kept {
	return kept{min(k.fds, o.fds), min(k.goroutines, o.goroutines), min(k.series, o.series), min(k.known, o.known), min(k.heap, o.heap)}
}

func (k *churning) measure() (m kept) {
	families, err := k.reg.Gather()
	must(k.t, err)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), metricsNamespace+"_container_") { // of the one that stays, once it is old enough
			m.series += len(f.GetMetric())
			continue
		}
		for _, s := range f.GetMetric() {
			if !strings.Contains(s.String(), `"stays"`) {
				m.series++
			}
		}
	}
	k.col.api.CloseIdle()
	k.e.ForgetQueries() // that is the fake Engine's
	k.col.mu.Lock()
	m.known = len(k.col.streams.byID) + len(k.col.streams.gone) + len(k.col.loaded)
	if k.pause > 0 { // what was left out is remembered for ten minutes, which the other way of this test does not take
		m.known += len(k.col.others)
	}
	k.col.mu.Unlock()
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	m.heap, m.fds, m.goroutines = mem.HeapAlloc, processFDs(), runtime.NumGoroutine()
	return m
}

// run lets so many containers come and go and compares what there is with what
// there was after the first ones.
func (k *churning) run(warm, total int) {
	db := k.e.Run(dockertest.Container{Name: "stays"})
	db.Stdout("line")
	first := k.churn(0, warm)
	before := k.measure()
	n := k.churn(warm, total)
	const heap = 1 << 20 // what the collector of garbage has not got at
	low := k.measure()
	same := func() bool {
		return low.fds <= before.fds && low.goroutines <= before.goroutines && low.series <= before.series &&
			low.known <= before.known+2*k.atOnce && low.heap <= before.heap+heap
	}
	for end := time.Now().Add(waitTime); !same() && time.Now().Before(end); { // what leaks never comes down again
		time.Sleep(100 * time.Millisecond)
		low = low.least(k.measure())
	}
	if k.t.Logf("after %d containers %+v, after %d %+v", warm, before, total, low); !same() {
		k.t.Error("something grows")
	}
	lines, missed := valueOf(k.col.metrics.lines), valueOf(k.col.metrics.missed)+valueOf(k.col.metrics.unpolled)
	sure, perhaps := float64(1+first.sure+n.sure), float64(first.perhaps+n.perhaps)
	if lines < sure || lines+missed != sure+perhaps {
		k.t.Errorf("%v lines came and %v containers were missed, of %v containers for sure and %v that were gone at once", lines, missed, sure, perhaps)
	}
}

// A day of containers that live for a moment leaves nothing behind, but what is
// remembered of the last ones. CHURN=50000 is the full number, half of them read
// from files, then all by following.
func TestChurn(t *testing.T) {
	const warm = maxGone * 3 / 2
	total := fromEnv(t, "CHURN", 2_000)
	for _, reader := range []string{readerAuto, readerFollow} {
		if reader == readerFollow && total < 10*warm {
			continue // as the other half of those before
		}
		t.Run(reader, func(t *testing.T) {
			e := dockertest.Start(t)
			k := startChurning(t, e, e.Host(), map[string]string{"Resync_Interval": "1s", "Reader": reader})
			defer k.ended()
			if reader == readerAuto {
				k.logDir = t.TempDir()
			}
			k.run(warm, total)
		})
	}
}

// The same in the time that it takes: 50,000 are a day, in which what is to be
// forgotten after a while is.
func TestChurnOfADay(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "churn") //nolint:usetesting // in memory: of disks it says nothing
	must(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	synctest.Test(t, func(t *testing.T) {
		e := dockertest.New(dockertest.InMemory())
		must(t, e.Serve())
		defer e.Close()
		k := startChurning(t, e, "unix:///simulated", map[string]string{"Metrics_Listen": "off"}, func(c *Config) { c.dial = e.Dial })
		defer k.ended()
		k.logDir, k.pause = dir, time.Duration(k.atOnce)*24*time.Hour/50_000
		began := time.Now()
		k.run(500, fromEnv(t, "CHURN", 800)) // after a quarter of an hour
		t.Log(time.Since(began), "of virtual time")
	})
}
