package capture_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
)

// simAgent is a Collector with a sink that does what Fluent Bit does: it
// acknowledges late, pauses, refuses.
type simAgent struct {
	no     int // of the agents of a simulation
	col    *capture.Collector
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
	since  time.Time
	given  atomic.Bool // up: nothing is taken from it any more

	mu       sync.Mutex
	paused   bool
	refusing int  // batches that are still kept before all others are refused; -1: none are refused
	late     bool // nothing is acknowledged
	retryAt  time.Time
	ring     []ringEntry // appended, and in no chunk yet
	chunks   []ringEntry // in chunks, and not acknowledged
	total    uint64      // records appended and not refused
	refused  bool        // and nothing acknowledged since then
	took     totalOf     // of Next, each time
	gaveBack totalOf     // what was refused of it
	lates    int         // lines that came behind younger ones
	ticks    int         // how often the ring was looked at
}

// ringEntry is one batch.
type ringEntry struct {
	records []got
	lines   []*wline
	end     uint64
}

// totalOf is what there was in all of some records.
type totalOf struct{ records, bytes, partial float64 }

func (t *totalOf) add(rs []got) {
	for _, r := range rs {
		t.records++
		t.bytes += float64(len(r.Fields["log"]))
		if r.Fields["partial"] != "" {
			t.partial++
		}
	}
}

const (
	// retryPause is how long nothing is appended after a refusal.
	retryPause = time.Second
	// underWay is how many batches may be, as in the plugin.
	underWay = 48
)

// ackDelays is how long batches stay in Fluent Bit's ring, in turn.
var ackDelays = []time.Duration{30 * time.Millisecond, 30 * time.Millisecond, time.Millisecond}

// halfAck is how much later the second half of what is in chunks is acknowledged.
const halfAck = 20 * time.Millisecond

// start starts an agent.
func (w *world) start() {
	opts := map[string]string{
		"Reader": w.p.Reader, "Start_From": "beginning", "DB": filepath.Join(w.dir, "db.json"), "Rotation_Log_Level": "off", "Metrics_Listen": "off",
		"Multiline": map[bool]string{true: "java", false: "off"}[w.p.Multiline], "Max_Streams": strconv.Itoa(w.p.MaxStreams), "Exclude": strings.Join(w.excluded(), ","),
	}
	cfg := testConfig(w.t, "unix:///simulated", opts, func(c *capture.Config) {
		c.SetDial(w.e.Dial)
		c.SetFollows(w.follows)
		c.RotateInterval = time.Duration(w.p.Rotate) * time.Millisecond
		c.HeartbeatInterval = time.Duration(w.p.Heartbeat) * time.Millisecond
		c.BatchSize, c.BufferLimit = w.p.Batch, w.p.Limit
	})
	w.agents++
	w.started = time.Now()
	a := &simAgent{no: w.agents, wake: make(chan struct{}, 1), done: make(chan struct{}), since: time.Now(), refusing: -1}
	fmt.Fprintln(w.log, "---- agent starts")
	text := slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelInfo})
	col, err := capture.New(cfg, slog.New(&simLog{w: w, inner: text, agent: a.no}), prometheus.NewRegistry(), a.poke)
	must(w.t, err)
	a.col = col
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	for _, x := range w.all {
		x.c.Hide(0) // what the first list does not show is not there
		x.mu.Lock()
		x.last = [3]int{-1, -1, -1}
		x.mu.Unlock()
	}
	w.mu.Lock()
	w.agent = a
	w.mu.Unlock()
	w.apply(a)
	go func() {
		defer close(a.done)
		var wg sync.WaitGroup
		wg.Go(func() { must(w.t, col.Run(ctx)) })
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

// deliver is Fluent Bit's thread.
func (w *world) deliver(ctx context.Context, a *simAgent) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ack, acks, rings := time.NewTimer(time.Hour), 0, false
	defer ack.Stop()
	for {
		select {
		case <-a.wake:
		case <-tick.C:
			a.col.CameBy()
		case <-ack.C:
			w.take(a)
			if rings = a.chunked(); rings {
				ack.Reset(halfAck)
			}
		case <-ctx.Done():
			return
		}
		for a.mayAppend() {
			b := a.col.Next()
			if b == nil {
				break
			}
			rs, err := decodeRecords(b.Tag, b.Buf)
			must(w.t, err)
			a.mu.Lock()
			a.took.add(rs)
			a.total += uint64(b.Records)
			a.ring = append(a.ring, ringEntry{records: rs, end: a.total})
			a.mu.Unlock()
			a.col.Appended()
			if !rings {
				ack.Reset(ackDelays[acks%len(ackDelays)])
				acks, rings = acks+1, true
			}
		}
	}
}

func (a *simAgent) mayAppend() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.ring) + len(a.chunks)
	return !a.paused && !a.given.Load() && n < underWay && (!a.refused || (n == 0 && time.Now().After(a.retryAt)))
}

// change changes what the sink does.
func (a *simAgent) change(f func()) {
	a.mu.Lock()
	f()
	a.mu.Unlock()
	a.poke()
}

// take has Fluent Bit's engine look at the ring: it puts what is there into
// chunks, for good, or keeps nothing of it.
func (w *world) take(a *simAgent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ring := a.ring
	a.ring = nil
	for i, entry := range ring {
		if a.refusing == 0 { // and then nothing is late
			a.acknowledge()
			for _, e := range ring[i:] {
				a.gaveBack.add(e.records)
				a.total -= uint64(len(e.records))
			}
			n := a.col.Refused()
			if want := uint64(recordsIn(ring[i:])); n != want {
				w.find("%d records were refused, the Collector says %d", want, n)
			}
			a.refused, a.retryAt = true, time.Now().Add(retryPause)
			w.stats.refused++
			return
		}
		if a.refusing > 0 {
			a.refusing--
		}
		for _, r := range entry.records {
			entry.lines = append(entry.lines, w.came(a, r)...)
		}
		a.chunks = append(a.chunks, entry)
	}
	a.ticks++
	if n := len(a.chunks); n > 1 && a.ticks%2 == 0 { // the rest is on its way still
		late := a.chunks[n/2:]
		a.chunks = a.chunks[:n/2]
		a.acknowledge()
		a.chunks = append(a.chunks, late...)
		return
	}
	a.acknowledge()
}

// chunked says whether there is something to be acknowledged still.
func (a *simAgent) chunked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.chunks) > 0 && !a.late
}

func recordsIn(all []ringEntry) (n int) {
	for _, e := range all {
		n += len(e.records)
	}
	return n
}

// acknowledge tells the Collector what is in chunks. mu is held.
func (a *simAgent) acknowledge() {
	if a.late {
		return
	}
	for _, e := range a.chunks {
		a.col.Ack(e.end)
		a.refused = false
		for _, l := range e.lines {
			l.acked = time.Now()
		}
	}
	a.chunks = nil
}

// stopBound is how long a Collector may take to end.
const stopBound = 10 * time.Second

// stop ends the agent in order; what is in the ring is lost unless it is taken.
func (w *world) stop(takes bool) {
	w.turn <- struct{}{}
	w.mu.Lock()
	a := w.agent
	w.agent = nil
	w.mu.Unlock()
	<-w.turn
	began := time.Now()
	a.cancel()
	<-a.done
	if d := time.Since(began); d > stopBound {
		w.find("the capture took %s to end", d)
	}
	if takes {
		w.take(a)
	}
	w.tally(a)
	if err := a.col.Close(); err != nil {
		w.find("Close: %v", err)
	}
	w.leftBehind(a)
	w.ended = append(w.ended, endedAgent{at: time.Now()})
	fmt.Fprintln(w.log, "---- agent stopped")
}

// endedAgent is when an agent ended, and whether it was killed.
type endedAgent struct {
	at     time.Time
	killed bool
}

// kill ends the agent as SIGKILL does: of the files of DB stays what they are
// at this moment.
func (w *world) kill() {
	synctest.Wait() // a file is written, or it is not
	files := map[string][]byte{}
	matches, _ := filepath.Glob(filepath.Join(w.dir, "db.json*"))
	for _, name := range matches {
		files[name], _ = os.ReadFile(name)
	}
	at := time.Now()
	w.stop(false)
	w.ended[len(w.ended)-1] = endedAgent{at, true}
	matches, _ = filepath.Glob(filepath.Join(w.dir, "db.json*"))
	for _, name := range matches {
		_ = os.Remove(name)
	}
	for name, b := range maps.All(files) {
		must(w.t, os.WriteFile(name, b, 0o600))
	}
	fmt.Fprintln(w.log, "---- it was a kill")
}

// simLog notes what is said of each container, and writes it down.
type simLog struct {
	w     *world
	inner slog.Handler
	id    string
	agent int
}

// said is what was said of a container that may explain why lines are missing.
type said struct {
	at    time.Time
	id    string // the first digits
	text  string
	times int
	// summed says that it is said once a minute: what is lost within that is counted.
	summed bool
	agent  int
}

func (h *simLog) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inner.Enabled(ctx, level)
}

func (h *simLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "gap: ") || strings.HasPrefix(r.Message, "the container was removed while") {
		s := said{at: time.Now(), id: h.id, text: r.Message, times: 1, agent: h.agent}
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "times" {
				s.times, s.summed = int(a.Value.Int64()), true
			}
			return true
		})
		h.w.mu.Lock()
		h.w.said = append(h.w.said, s)
		h.w.mu.Unlock()
		if h.id == "" {
			h.w.find("%q names no container", r.Message)
		}
	}
	return h.inner.Handle(ctx, r)
}

func (h *simLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := &simLog{h.w, h.inner.WithAttrs(attrs), h.id, h.agent}
	for _, a := range attrs {
		if a.Key == "id" {
			with.id = a.Value.String()
		}
	}
	return with
}

func (h *simLog) WithGroup(name string) slog.Handler {
	return &simLog{h.w, h.inner.WithGroup(name), h.id, h.agent}
}
