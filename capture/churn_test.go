package capture_test

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

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/supervise"
)

// churning is a capture of containers that come and go.
type churning struct {
	*agent

	e      *dockertest.Engine
	db     string
	logDir string // of the containers' log files; empty: they have none
	atOnce int
	pause  time.Duration // that each worker makes between two containers
	ended  func()
	warned *logBuffer // what the log said of containers that were missed
}

func startChurning(t *testing.T, e *dockertest.Engine, host string, opts map[string]string, tune ...func(*capture.Config)) *churning {
	reg := prometheus.NewRegistry()
	wake := make(chan struct{}, 1)
	opts["DB"], opts["Exclude"] = t.TempDir()+"/db", "skip-*"
	warned := &logBuffer{}
	log := slog.New(slog.NewTextHandler(warned, &slog.HandlerOptions{Level: slog.LevelWarn}))
	col, err := capture.New(testConfig(t, host, opts, tune...), log, reg, func() { supervise.Poke(wake) })
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
	k := &churning{agent: &agent{t: t, col: col, reg: reg}, e: e, db: opts["DB"], atOnce: 4, warned: warned}
	k.ended = func() {
		cancel()
		wg.Wait()
		must(t, col.Close())
	}
	k.waitFor("the Engine to answer", func() bool { return col.View().Engine.Reachable })
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
						return k.stream(c.ID).Age > 0
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
	k.waitFor("the streams to end", func() bool { return k.running() == 1 }, 2*time.Minute)
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
	for _, f := range append(families, k.col.PerContainer("docker_logs.0")...) {
		if !strings.HasPrefix(f.GetName(), status.Namespace+"_container_") { // of the one that stays, once it is old enough
			m.series += len(f.GetMetric())
			continue
		}
		for _, s := range f.GetMetric() {
			if !strings.Contains(s.String(), `"stays"`) {
				m.series++
			}
		}
	}
	k.col.API().CloseIdle()
	k.e.ForgetQueries() // that is the fake Engine's
	saved, err := checkpoint.Peek(k.db)
	must(k.t, err)
	m.known = len(saved.Containers)
	if k.pause > 0 { // what was left out is remembered for ten minutes, which the other way of this test does not take
		m.known += len(saved.Others)
	}
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
	// One that is removed while its log is opened once more may have written meanwhile,
	// and counts as unpolled whether it has or not.
	lines, missed, unpolled := k.col.Totals().Lines, k.counted("missed_containers_total"), k.counted("unpolled_containers_total")
	sure, perhaps := float64(1+first.sure+n.sure), float64(first.perhaps+n.perhaps)
	if all := sure + perhaps; lines < sure || lines+missed > all || lines+missed+unpolled < all || unpolled > all/50 {
		k.t.Errorf("%v lines came, %v containers were missed and %v unpolled, of %v containers for sure and %v that were gone at once; the log says\n%s", lines, missed, unpolled, sure, perhaps, k.warned)
	}
}

// A day of containers that live for a moment leaves nothing behind, but what is
// remembered of the last ones. CHURN=50000 is the full number, half of them read
// from files, then all by following.
func TestChurn(t *testing.T) {
	const warm = 1500 // of the last 1,000 the positions are kept
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
		k := startChurning(t, e, "unix:///simulated", map[string]string{"Metrics_Listen": "off"}, func(c *capture.Config) { c.SetDial(e.Dial) })
		defer k.ended()
		k.logDir, k.pause = dir, time.Duration(k.atOnce)*24*time.Hour/50_000
		began := time.Now()
		k.run(500, fromEnv(t, "CHURN", 800)) // after a quarter of an hour
		t.Log(time.Since(began), "of virtual time")
	})
}
