package capture_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/capture/testkit"
)

// lateness takes what a Collector delivers and keeps how late each record
// was.
type lateness struct {
	mu   sync.Mutex
	late map[string][]time.Duration // by container id
	reg  *prometheus.Registry
}

// run runs a Collector until stop is called.
func (l *lateness) run(tb testing.TB, cfg capture.Config) (col *capture.Collector, stop func()) {
	l.late = map[string][]time.Duration{}
	l.reg = prometheus.NewRegistry()
	wake := make(chan struct{}, 1)
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"instance": "docker_logs.0"}, l.reg)
	col, err := capture.New(cfg, slog.New(slog.DiscardHandler), reg, func() { supervise.Poke(wake) })
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = col.Run(ctx) })
	wg.Go(func() {
		total := uint64(0)
		for {
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
			for b := col.Next(); b != nil; b = col.Next() {
				l.take(tb, b)
				total += uint64(b.Records)
				col.Appended()
				col.Ack(total)
			}
		}
	})
	return col, func() {
		cancel()
		wg.Wait()
		_ = col.Close()
	}
}

func (l *lateness) take(tb testing.TB, b *outbox.Batch) {
	now := time.Now()
	rs, err := decodeRecords(b.Tag, b.Buf)
	if err != nil {
		tb.Error(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rs {
		id := r.Fields["container_id"]
		l.late[id] = append(l.late[id], now.Sub(time.Unix(int64(r.Sec), int64(r.Nanos))))
	}
}

// reset forgets what came so far.
func (l *lateness) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.late)
}

// report adds the median and the 99th percentile, of the records of containers
// that are wanted, to the benchmark's figures.
func (l *lateness) report(b *testing.B, what string, wanted func(id string) bool) {
	b.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []time.Duration
	for id, late := range l.late {
		if wanted(id) {
			all = append(all, late...)
		}
	}
	if len(all) == 0 {
		b.Errorf("%s: no record came", what)
		return
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, what+"-p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, what+"-p99-ms")
	b.ReportMetric(float64(all[len(all)-1].Microseconds())/1e3, what+"-max-ms")
}

// rss is the memory of this process, in MB.
func rss(tb testing.TB) float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		tb.Fatal(err)
	}
	return kb / 1024
}

// Ten thousand containers: what the agent uses, and how late lines are, with
// one in a hundred writing and with none. Each part takes about two and a half
// minutes: the time until quiet containers are polled, and a minute of
// measuring.
func BenchmarkScale(b *testing.B) {
	const containers = 10_000
	debug.SetGCPercent(50) // as package plugin does
	for _, active := range []int{containers / 100, 0} {
		b.Run(fmt.Sprintf("%d of %d write", active, containers), func(b *testing.B) {
			host := testkit.FakeEngine(b, "-containers", fmt.Sprint(containers), "-active", fmt.Sprint(active), "-rate", "2", "-stray", "100ms")
			l := &lateness{}
			cfg := testConfig(b, host, nil)
			col, stop := l.run(b, cfg)
			defer stop()
			for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
				n := col.View().ByReader()
				followed, polled := n[readerFollow], n[readerPoll]
				if polled == containers-active && followed == active {
					break
				}
				if time.Now().After(end) {
					b.Fatalf("%d followed, %d polled", followed, polled)
				}
			}
			time.Sleep(2 * cfg.PollMax) // until the polls are as rare as they get
			for b.Loop() {
				l.reset()
				began, cpu := time.Now(), testkit.OwnCPU(b)
				fds := 0
				for time.Since(began) < time.Minute {
					time.Sleep(time.Second)
					fds = max(fds, processFDs())
				}
				b.ReportMetric(100*float64(testkit.OwnCPU(b)-cpu)/float64(time.Since(began)), "%cpu")
				b.ReportMetric(float64(fds), "fds")
				b.ReportMetric(rss(b), "MB")
			}
			follows := map[string]bool{}
			for _, s := range col.View().Streams {
				follows[s.ID] = s.Reader == readerFollow
			}
			if active > 0 {
				l.report(b, "active", func(id string) bool { return follows[id] })
			}
			l.report(b, "quiet", func(id string) bool { return !follows[id] })
		})
	}
}
