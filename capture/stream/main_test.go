package stream

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginetest.M{M: m}) }

// testSet is a set of streams, and what a test looks at besides.
type testSet struct {
	*Set
	said *saying

	mu      sync.Mutex
	records []testkit.Record // that were taken; guarded by mu
}

// saying is a log that is kept.
type saying struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *saying) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// has says whether a text was said.
func (l *saying) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// testConfig is what the options say by default, but for short pauses between polls.
func testConfig() Config {
	return Config{
		Reader: Auto, Local: true, MaxStreams: 200, IdleAfter: time.Minute, RotationLogLevel: "off",
		Options: api.Options{PollMin: 5 * time.Millisecond, PollMax: 20 * time.Millisecond, ActiveRate: 1, Rotate: 30 * time.Second, Heartbeat: 30 * time.Second},
		Std:     [3]bool{decode.Stdout: true, decode.Stderr: true}, MaxLine: 1 << 20,
		Records: record.Options{LogKey: "log", LabelKeys: record.KeysFlat, Host: "here"},
	}
}

// newSet makes a set for which nothing runs.
func newSet(tb testing.TB, host string, tune ...func(*Config)) *testSet {
	tb.Helper()
	n := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{}) }
	by := func(label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{label})
	}
	m := &Metrics{
		Metrics: lines.Metrics{Lines: n(), Bytes: n(), Partials: n(), Truncated: n(), Doubles: n(), Undated: n(), Joined: n(), Damaged: n(), Gaps: n(), Panics: n()},
		Late:    n(), Missed: n(), Unpolled: n(), Rotations: n(), RotationErrors: n(), Stalls: n(), Reconnects: by("reason"),
		Ages: prometheus.NewHistogram(prometheus.HistogramOpts{}),
	}
	client, err := engine.New(engine.Options{Host: host})
	testkit.Must(tb, err)
	s := &testSet{said: &saying{}}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(s.said, tb.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := Options{
		Engine: client, State: engine.NewState(), Out: outbox.New(64<<10, 8<<20, func() {}), Metrics: m, Config: testConfig(),
		Store:      checkpoint.NewStore(checkpoint.StoreOptions{Began: time.Now(), Grace: GoneGrace}, log),
		Supervisor: supervise.New(time.Minute, supervise.Counts{Panics: m.Panics, Stalls: by("task"), Restarts: by("task")}),
	}
	for _, f := range tune {
		f(&o.Config)
	}
	s.Set = New(o, log)
	tb.Cleanup(func() {
		o.Out.Close()
		s.Close()
		_ = client.Close()
	})
	return s
}

// at makes a stream of a container of which an Engine knows, that begins there.
func (s *testSet) at(tb testing.TB, id string, p position.Position) *stream {
	tb.Helper()
	o := &s.tasks.Options
	_, err := o.Engine.Connect(tb.Context())
	testkit.Must(tb, err)
	c, err := o.Engine.Inspect(tb.Context(), id)
	testkit.Must(tb, err)
	return newStream(s.tasks.shared, c, p)
}

// all is a choice of all containers but those whose name ends in -old.
type all struct{}

func (all) Wanted(c *container.Container) bool { return !strings.HasSuffix(c.Name, "-old") }
func (all) ByImage() bool                      { return false }
func (all) Recognise(*container.Container)     {}
func (all) Unmatched([]*container.Container)   {}
func (all) Missed(*container.Container)        {}

// run has the containers of an Engine captured until the test ends, as a capture does,
// and takes what comes.
func (s *testSet) run(tb testing.TB) {
	o := s.tasks.Options
	ctx, cancel := context.WithCancel(context.Background())
	by := func(label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{label})
	}
	d := discovery.New(discovery.Options{
		Engine: o.Engine, State: o.State, Streams: s.During(ctx), Choice: all{}, Store: o.Store, Failing: discovery.NewFailing(),
		Heartbeat: 30 * time.Second, Resync: time.Minute, Connected: func(engine.Info) {}, Listed: func() {}, Readers: func() []any { return nil },
		Counts: discovery.Counts{Events: by("action"), Errors: by("what"), ResyncFinds: prometheus.NewCounter(prometheus.CounterOpts{}), Panics: o.Metrics.Panics},
	}, s.tasks.log)
	end := s.Begin(false)
	o.Supervisor.Start(ctx, d.Task)
	var wg sync.WaitGroup
	wg.Go(func() { o.Supervisor.Watch(ctx) })
	wg.Go(func() {
		for supervise.Sleep(ctx, time.Millisecond) {
			s.take(tb)
		}
	})
	tb.Cleanup(func() {
		cancel()
		wg.Wait()
		end()
	})
	testkit.Must(tb, o.State.WaitUp(tb.Context()))
}

// take takes what there is.
func (s *testSet) take(tb testing.TB) {
	out := s.tasks.Out
	for b := out.Next(); b != nil; b = out.Next() {
		rs, err := testkit.DecodeRecords(b.Tag, b.Buf)
		if err != nil {
			tb.Error(err)
		}
		n := uint64(b.Records)
		out.Appended()
		out.Ack(ackedOf(out) + n)
		s.mu.Lock()
		s.records = append(s.records, rs...)
		s.mu.Unlock()
	}
}

// texts are the lines of a container that were taken, in order.
func (s *testSet) texts(id string) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.Fields["container_id"] == id {
			texts = append(texts, r.Fields["log"])
		}
	}
	return texts
}

// waitFor blocks until ok, asked now and then, is true.
func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			tb.Fatalf("waited too long for %s", what)
		}
	}
}

func (s *testSet) waitTexts(tb testing.TB, id string, n int) {
	tb.Helper()
	waitFor(tb, "lines", func() bool { return len(s.texts(id)) >= n })
}

func (s *testSet) waitLog(tb testing.TB, text string) {
	tb.Helper()
	waitFor(tb, "the log to say "+text, func() bool { return s.said.has(text) })
}
