package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	registry "github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/docker/prometheus"
)

// limit bounds each wait for Prometheus.
const limit = 2 * time.Minute

// TestFaults: what really goes wrong in a capture makes a real Prometheus fire the alert. The minutes of "for" are seconds.
func TestFaults(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithLiveRestore())
	c := e.Run(dockertest.Container{Name: "web"})
	addr, err := enginetest.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(t.TempDir(), "db")
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	// A rotation would open the silent stream again before the heartbeat does, and nothing would have stalled.
	stop := runCapture(t, map[string]string{
		"Rotate_Interval": "24h", "Docker_Host": e.Host(), "Reader": "follow", "Heartbeat_Interval": "1s", "Task_Timeout": "1m", "Resync_Interval": "1s",
		"Metrics_Listen": addr, "DB": filepath.Join(db, "positions"), "Start_From": "beginning", "FD_Warn": "500", "FD_Limit": "800",
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if err := e.WaitFollowers(ctx, 1); err != nil {
		t.Fatal(err)
	}
	p, err := prometheus.Start(ctx, t.TempDir(), prometheus.Config{Plugin: addr, Interval: 250 * time.Millisecond, Hurry: true})
	if errors.Is(err, debian.ErrAbsent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	began := time.Now()
	fired := func() map[string]bool {
		all, err := p.Fired(ctx, time.Since(began)+time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	// await makes sure that what comes next is what fires it.
	await := func(fault string, inject func(), alerts ...string) {
		t.Helper()
		for _, a := range alerts {
			if fired()[a] {
				t.Errorf("%s fired before: %s", a, fault)
			}
		}
		inject()
		for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) { // Prometheus gives no sign
			all, missing := fired(), ""
			for _, a := range alerts {
				if !all[a] {
					missing = a
				}
			}
			if missing == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s does not fire: %s; these did: %v", missing, fault, all)
			}
		}
	}
	awaitScrapes(t, p, "log_capturer_engine_up == 1")

	await("a stream goes silent while its log grows", func() {
		c.Silence(0)
		c.Stdout("not sent")
	}, "DockerLogsStreamStalls")
	await("the directory of DB is gone", func() {
		if err := os.Rename(db, db+"-away"); err != nil { // to delete it would be to race with a save
			t.Fatal(err)
		}
		c.Stdout("something to save")
	}, "DockerLogsPositionsNotSaved")
	await("more than 800 file descriptors are open", func() { open(t, 801) }, "DockerLogsFDsHigh", "DockerLogsFDsCritical", "DockerLogsDegraded")
	await("the Engine is down", e.Down, "DockerLogsEngineDown")
	await("lines are rotated away meanwhile", func() {
		for i := range 200 {
			c.Stdout(fmt.Sprint("line ", i))
		}
		c.Forget(c.Records() - 10)
		if err := e.Up(); err != nil {
			t.Fatal(err)
		}
	}, "DockerLogsGap")
	await("the plugin is gone", stop, "DockerLogsDown")
}

// awaitScrapes waits until the expression has held for a second: a counter's rise is seen only from a value before.
func awaitScrapes(t *testing.T, p *prometheus.Server, expr string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		v, _, _, err := p.Query(t.Context(), "count_over_time(("+expr+")[1s:250ms]) >= 4", time.Now())
		if err == nil && v.String() != "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not hold: %v", expr, err)
		}
	}
}

// open opens n files until the test ends.
func open(t *testing.T, n int) {
	for range n {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
	}
}

// runCapture captures as the plugin does, and throws the records away, until stop is called or the test ends.
func runCapture(t *testing.T, options map[string]string) (stop func()) {
	cfg, err := capture.ParseConfig(func(key string) string { return options[key] })
	if err != nil {
		t.Fatal(err)
	}
	reg := registry.NewRegistry()
	wake := make(chan struct{}, 1)
	col, err := capture.New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)), reg, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	hide := col.Show("web", reg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = col.Run(ctx) })
	wg.Go(func() {
		records := uint64(0)
		for {
			for b := col.Next(); b != nil; b = col.Next() {
				records += uint64(b.Records)
				col.Appended()
				col.Ack(records)
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
		}
	})
	stop = sync.OnceFunc(func() {
		hide()
		cancel()
		wg.Wait()
		_ = col.Close()
	})
	t.Cleanup(stop)
	return stop
}
