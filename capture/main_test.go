package capture_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/docker/enginetest"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
	"fluent-bit-docker-logs/capture/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginetest.M{M: m}) }

// got is one record as Fluent Bit would decode it.
type got = testkit.Record

var decodeRecords = testkit.DecodeRecords

// agent runs a Collector as the plugin does, and keeps what it delivers.
type agent struct {
	t      *testing.T
	col    *capture.Collector
	reg    *prometheus.Registry
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
	log    *logBuffer

	stopped bool
	mu      sync.Mutex
	cond    *sync.Cond
	records []got
	bytes   int
	hold    bool   // take nothing: Fluent Bit is paused
	lazy    bool   // decode nothing before decodeLazy: be fast
	only    string // keep the records of this container alone; guarded by mu
	raw     []byte
	keepAck bool // acknowledge nothing: it is in Fluent Bit's ring only
	count   uint64
	lost    int // records taken and never acknowledged
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The values of the option Reader.
const (
	readerAuto   = stream.Auto
	readerFile   = stream.File
	readerFollow = stream.Follow
	readerPoll   = stream.Poll
)

// testConfig is what the options say. Tuners may set what no option allows:
// times that a test does not want to wait for.
func testConfig(t testing.TB, host string, opts map[string]string, tune ...func(*capture.Config)) capture.Config {
	t.Helper()
	opts = maps.Clone(opts)
	if opts == nil {
		opts = map[string]string{}
	}
	opts["Docker_Host"] = host
	cfg, err := capture.ParseConfig(func(k string) string { return opts[k] })
	if err != nil {
		t.Fatal(err)
	}
	cfg.SetTurnsSilent(true) // few tests write all the time
	for _, f := range tune {
		f(&cfg)
	}
	return cfg
}

func startAgent(t *testing.T, host string, opts map[string]string, tune ...func(*capture.Config)) *agent {
	t.Helper()
	a := &agent{t: t, reg: prometheus.NewRegistry(), wake: make(chan struct{}, 1), log: &logBuffer{}}
	a.cond = sync.NewCond(&a.mu)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(a.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug}))
	col, err := capture.New(testConfig(t, host, opts, tune...), log, a.reg, a.poke)
	if err != nil {
		t.Fatal(err)
	}
	a.col = col
	a.run()
	t.Cleanup(a.stop)
	return a
}

func (a *agent) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.cancel, a.done = cancel, done
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := a.col.Run(ctx); err != nil {
				a.t.Errorf("Run: %v", err)
			}
		})
		a.drain(ctx)
		wg.Wait()
	}()
}

func (a *agent) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *agent) drain(ctx context.Context) {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
		for {
			a.mu.Lock()
			hold := a.hold
			a.mu.Unlock()
			if hold {
				break
			}
			b := a.col.Next()
			if b == nil {
				break
			}
			if a.lazy {
				a.takeLazily(b)
				continue
			}
			rs, err := decodeRecords(b.Tag, b.Buf)
			if err != nil {
				a.t.Errorf("batch of %d bytes: %v", len(b.Buf), err)
			}
			if len(rs) != b.Records {
				a.t.Errorf("batch says %d records and holds %d", b.Records, len(rs))
			}
			a.mu.Lock()
			if a.keepAck {
				a.lost += len(rs)
			} else {
				if a.only != "" {
					rs = slices.DeleteFunc(rs, func(r got) bool { return r.Fields["container_id"] != a.only })
				}
				a.records = append(a.records, rs...)
				a.bytes += len(b.Buf)
				a.count += uint64(b.Records)
			}
			n := a.count
			a.mu.Unlock()
			a.col.Appended()
			a.col.Ack(n)
			a.cond.Broadcast()
		}
	}
}

// takeLazily only copies what is to be taken.
func (a *agent) takeLazily(b *outbox.Batch) {
	a.mu.Lock()
	a.raw = append(a.raw, b.Buf...)
	a.count += uint64(b.Records)
	n := a.count
	a.mu.Unlock()
	a.col.Appended()
	a.col.Ack(n)
	a.cond.Broadcast()
}

// decodeLazy decodes what was only copied so far.
func (a *agent) decodeLazy() {
	a.mu.Lock()
	defer a.mu.Unlock()
	rs, err := decodeRecords("", a.raw)
	must(a.t, err)
	a.records, a.raw = append(a.records, rs...), nil
}

// loseFromNow makes the sink take records without ever acknowledging them, as
// when they are in a ring that Fluent Bit drops at its exit: they do not count
// as delivered.
func (a *agent) loseFromNow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepAck = true
}

// pause makes the sink take nothing more; resume takes it back.
func (a *agent) pause(on bool) {
	a.mu.Lock()
	a.hold = on
	a.mu.Unlock()
	a.poke()
}

// pauseReading ends the Collector's run; resumeReading starts another that
// goes on where it was.
func (a *agent) pauseReading() {
	a.cancel()
	<-a.done
}

func (a *agent) resumeReading() {
	a.run()
}

func (a *agent) stop() {
	if a.stopped {
		return
	}
	a.stopped = true
	a.cancel()
	<-a.done
	if err := a.col.Close(); err != nil {
		a.t.Errorf("Close: %v", err)
	}
}

// stopIgnoringErrors is stop where Close cannot succeed.
func (a *agent) stopIgnoringErrors() {
	a.stopped = true
	a.cancel()
	<-a.done
	if err := a.col.Close(); err == nil {
		a.t.Error("Close reports nothing")
	}
}

// waitTime is how long a test waits for what must come; it is reached only
// when the test fails.
const waitTime = time.Minute

// wait blocks until ok, called with the records so far, is true.
func (a *agent) wait(what string, ok func([]got) bool) {
	a.t.Helper()
	late := time.AfterFunc(waitTime, a.cond.Broadcast)
	defer late.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	seen, deadline := len(a.records), time.Now().Add(waitTime)
	for !ok(a.records) {
		if n := len(a.records); n > seen { // as long as records come, it is worth waiting
			seen, deadline = n, time.Now().Add(waitTime)
			late.Reset(waitTime)
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("waited too long for %s; %d records so far", what, len(a.records))
		}
		a.cond.Wait()
	}
}

func (a *agent) waitRecords(n int) []got {
	a.t.Helper()
	a.wait(fmt.Sprintf("%d records", n), func(rs []got) bool { return len(rs) >= n })
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]got(nil), a.records...)
}

// waitTexts waits for n lines of one container and std stream.
func (a *agent) waitTexts(id, std string, n int) {
	a.t.Helper()
	a.wait(fmt.Sprintf("%d lines of %s", n, container.ShortID(id)), func(rs []got) bool {
		return len(textsOf(rs, id, std)) >= n
	})
}

// texts returns the logs of one container and std stream, in order.
func (a *agent) texts(id, std string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return textsOf(a.records, id, std)
}

func textsOf(rs []got, id, std string) (out []string) {
	for _, r := range rs {
		if r.Fields["container_id"] == id && (std == "" || r.Fields["stream"] == std) {
			out = append(out, r.Fields["log"])
		}
	}
	return out
}

// waitFor blocks until ok, asked now and then, is true: for states that
// nothing announces. It waits waitTime, or as long as most says.
func (a *agent) waitFor(what string, ok func() bool, most ...time.Duration) {
	a.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(append(most, waitTime)[0]); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			a.t.Fatalf("waited too long for %s", what)
		}
	}
}

// counted is what a counter has counted, in all or with such labels.
func (a *agent) counted(name string, labels ...string) (n float64) {
	a.t.Helper()
	families, err := a.reg.Gather()
	must(a.t, err)
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == status.Namespace+"_"+name })
	if i < 0 && len(labels) == 0 {
		a.t.Fatalf("no metric %s", name)
	}
	if i >= 0 {
		for _, m := range families[i].GetMetric() {
			if !missing(labelsOf(m), labels) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// labelsOf are a metric's labels, each with a space behind it.
func labelsOf(m *dto.Metric) (text string) {
	for _, l := range m.GetLabel() {
		text += l.GetName() + "=" + l.GetValue() + " "
	}
	return text
}

// metric is a metric's line in Prometheus' format.
func (a *agent) metric(name string) string {
	families, err := a.reg.Gather()
	must(a.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return fmt.Sprint(name, " ", f.GetMetric())
		}
	}
	a.t.Fatalf("no metric %s", name)
	return ""
}

func (a *agent) waitLog(text string) {
	a.t.Helper()
	a.waitFor("the log to say "+text, func() bool { return strings.Contains(a.log.String(), text) })
}

// testContext when the test has waited too long.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	t.Cleanup(cancel)
	return ctx
}

// connected waits until the agent has listed the containers.
func (a *agent) connected() {
	a.t.Helper()
	a.waitFor("the Engine to answer", func() bool { return a.col.View().Engine.Reachable })
	a.waitLog("connected to the Engine") // which is said only then
}

var (
	must          = testkit.Must
	checkSequence = testkit.CheckSequence
	processFDs    = testkit.FDs
	sequence      = testkit.Sequence
	ask           = testkit.Ask
)

// stream is how the stream of a container is, one without a state if there is none.
func (a *agent) stream(id string) status.Stream {
	for _, s := range a.col.View().Streams {
		if s.ID == id {
			return s
		}
	}
	return status.Stream{}
}

// running is how many streams run.
func (a *agent) running() (n int) {
	for _, s := range a.col.View().Streams {
		if s.Runs {
			n++
		}
	}
	return n
}

// inVirtualTime runs a test in virtual time, with an agent and its Engine.
func inVirtualTime(t *testing.T, opts map[string]string, test func(t *testing.T, e *dockertest.Engine, a *agent), tune ...func(*capture.Config)) {
	t.Helper()
	opts = maps.Clone(opts)
	if opts == nil {
		opts = map[string]string{}
	}
	opts["Metrics_Listen"] = "off"
	synctest.Test(t, func(t *testing.T) {
		e := dockertest.New(dockertest.InMemory())
		must(t, e.Serve())
		t.Cleanup(e.Close)
		a := startAgent(t, "unix:///simulated", opts, append(tune, func(c *capture.Config) { c.SetDial(e.Dial) })...)
		a.connected()
		test(t, e, a)
		a.stop()
	})
}
