package capture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// simAgent is a Collector with a sink that acknowledges late, as Fluent Bit
// does.
type simAgent struct {
	col    *Collector
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu     sync.Mutex
	paused bool
	ring   []ringEntry
	total  uint64
}

type ringEntry struct {
	records []got
	end     uint64
}

// start starts an agent.
func (w *world) start() {
	cfg := testConfig(w.t, "unix:///simulated", map[string]string{
		"Reader": w.p.Reader, "Start_From": "beginning", "DB": filepath.Join(w.dir, "db.json"), "Rotation_Log_Level": "off", "Metrics_Listen": "off",
		"Max_Streams": strconv.Itoa(w.p.MaxStreams),
	}, func(c *Config) {
		c.dial = w.e.Dial
		c.RotateInterval = time.Duration(w.p.Rotate) * time.Millisecond
		c.HeartbeatInterval = time.Duration(w.p.Heartbeat) * time.Millisecond
		c.BatchSize, c.BufferLimit = w.p.Batch, w.p.Limit
	})
	a := &simAgent{wake: make(chan struct{}, 1), done: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	fmt.Fprintln(w.log, "---- agent starts")
	col, err := New(cfg, log, prometheus.NewRegistry(), a.poke)
	must(w.t, err)
	a.col = col
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	w.agent = a
	go func() {
		defer close(a.done)
		var wg sync.WaitGroup
		wg.Go(func() { _ = col.Run(ctx) })
		w.deliver(ctx, a)
		wg.Wait()
	}()
}

func (a *simAgent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// ackDelay is how long a batch stays in Fluent Bit's ring.
const ackDelay = 30 * time.Millisecond

// deliver is Fluent Bit's thread.
func (w *world) deliver(ctx context.Context, a *simAgent) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ack := time.NewTimer(time.Hour)
	defer ack.Stop()
	for {
		select {
		case <-a.wake:
		case <-tick.C:
			a.col.CameBy()
		case <-ack.C:
			w.take(a)
			continue
		case <-ctx.Done():
			return
		}
		for !a.isPaused() {
			b := a.col.Next()
			if b == nil {
				break
			}
			rs, err := decodeRecords(b.Tag, b.Buf)
			must(w.t, err)
			a.mu.Lock()
			a.total += uint64(b.Records)
			a.ring = append(a.ring, ringEntry{rs, a.total})
			a.mu.Unlock()
			a.col.Appended()
			ack.Reset(ackDelay)
		}
	}
}

func (a *simAgent) isPaused() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.paused
}

func (a *simAgent) pause(on bool) {
	a.mu.Lock()
	a.paused = on
	a.mu.Unlock()
	a.poke()
}

// take puts what is in the ring into chunks, for good.
func (w *world) take(a *simAgent) {
	a.mu.Lock()
	ring := a.ring
	a.ring = nil
	a.mu.Unlock()
	for _, entry := range ring {
		for _, r := range entry.records {
			for _, x := range w.all {
				if x.c.ID == r.Fields["container_id"] {
					std := stdout
					if r.Fields["stream"] == "stderr" {
						std = stderr
					}
					// Beside a damaged place a whole line may seem to lack a part.
					if r.Fields["partial"] != "" && !x.damaged {
						x.fragments[std] = append(x.fragments[std], r.Fields["log"])
						continue
					}
					x.came[std] = append(x.came[std], r.Fields["log"])
				}
			}
		}
		a.col.Ack(entry.end)
	}
}

// stop ends the agent in order; what is in the ring is lost unless it is taken.
func (w *world) stop(takes bool) {
	a := w.agent
	a.cancel()
	<-a.done
	if takes {
		w.take(a)
	}
	w.gaps += a.col.Totals().Gaps
	if err := a.col.Close(); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	fmt.Fprintln(w.log, "---- agent stopped")
}

// kill ends the agent as SIGKILL does: of the files of DB stays what they are
// at this moment.
func (w *world) kill() {
	files := map[string][]byte{}
	matches, _ := filepath.Glob(filepath.Join(w.dir, "db.json*"))
	for _, name := range matches {
		files[name], _ = os.ReadFile(name)
	}
	w.kills++
	w.stop(false)
	matches, _ = filepath.Glob(filepath.Join(w.dir, "db.json*"))
	for _, name := range matches {
		_ = os.Remove(name)
	}
	for name, b := range files {
		_ = os.WriteFile(name, b, 0o600)
	}
	fmt.Fprintln(w.log, "---- it was a kill")
}
