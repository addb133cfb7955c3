package capture

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "the first `seed` of the simulations; 0 draws one")
	simSeeds = flag.Int("sim.seeds", 0, "how `many` plans are simulated; 0 as many as fit in sim.time")
	simTime  = flag.Duration("sim.time", 0, "how `long` new plans are simulated")
	simBy    = flag.String("sim.reader", "", "the `reader` of all new plans, instead of what is drawn")
	simPlan  = flag.String("sim.plan", "", "a `file` with a plan to simulate, instead of seeds")
)

// settleAfter is how long the agent has, when all faults are over, to deliver
// what is left.
const settleAfter = 20 * time.Minute

// world is one simulation while it runs: an Engine, an agent, what was written
// and what came.
type world struct {
	t     *testing.T
	p     *plan
	e     *dockertest.Engine
	dir   string
	log   *logBuffer
	clock atomic.Int64 // nanoseconds that the Engine's is ahead

	all []*written

	agent  *simAgent
	kills  int
	counts map[string]int // lines that were said to be lost, by container
	gaps   float64        // of agents that have ended
	undo   []func()
}

// written is what a container wrote, by std stream.
type written struct {
	c     *dockertest.Ctr
	spec  planContainer
	lines [3][]string
	part  [3]string // the unterminated end
	n     int
	lossy loss
	// damaged: its log's file has places that hold no record.
	damaged bool
	came    [3][]string
	// fragments came with the flag that a part of the line is missing.
	fragments [3][]string
}

// loss says whether lines of a container may be missing.
type loss int

const (
	lossNone loss = iota
	lossCounted
	lossSilent
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

// TestSimulation runs plans in virtual time: first those that once found
// something, then new ones. A plan that finds something is said with its seed.
func TestSimulation(t *testing.T) {
	kept, err := filepath.Glob("testdata/chaos/*.json")
	must(t, err)
	if *simPlan != "" {
		kept = []string{*simPlan}
	}
	for _, file := range kept {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			p := &plan{}
			must(t, json.Unmarshal(text, p))
			if err := simulate(t, p); err != nil {
				t.Errorf("%v\n%s", err, p.words())
			}
		})
	}
	if *simPlan != "" {
		return
	}
	if *simSeeds == 0 && *simTime == 0 { // a few that are always the same
		*simSeed, *simSeeds = 500, 5
	}
	seed, began, hours, n := *simSeed, time.Now(), 0.0, 0
	if seed == 0 {
		seed = uint64(began.UnixNano())
	}
	for ; n < *simSeeds || (*simSeeds == 0 && time.Since(began) < *simTime); n++ {
		p := drawPlan(seed + uint64(n))
		if *simBy != "" {
			p.Reader = *simBy
		}
		hours += p.hours()
		if err := simulate(t, p); err != nil {
			p, err = shrink(t, p, err)
			file := filepath.Join(os.TempDir(), fmt.Sprintf("plan-%d.json", seed+uint64(n)))
			text, _ := json.MarshalIndent(p, "", " ")
			_ = os.WriteFile(file, text, 0o600)
			t.Errorf("seed %d: %v\nthe shrunk plan is in %s:\n%s", seed+uint64(n), err, file, p.words())
		}
	}
	t.Logf("%d plans from seed %d, %.0f hours of operation in %s", n, seed, hours, time.Since(began).Round(time.Millisecond))
}

// simulate runs a plan in a bubble of virtual time and says what was wrong.
func simulate(t *testing.T, p *plan) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	dir, mkErr := os.MkdirTemp("/dev/shm", "simulation") //nolint:usetesting // in memory: of disks it says nothing
	must(t, mkErr)
	defer func() { _ = os.RemoveAll(dir) }()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, p: p, dir: dir, log: &logBuffer{}, counts: map[string]int{}}
		err = w.run()
	})
	return err
}

// shrink leaves out of a plan whatever is not needed for it to fail.
func shrink(t *testing.T, p *plan, reason error) (*plan, error) {
	deadline := time.Now().Add(20 * time.Second)
	for size, again := len(p.Steps)/2, true; size >= 1 || again; size /= 2 {
		if size == 0 {
			size, again = 1, false
		}

		for i := 0; i+size <= len(p.Steps) && time.Now().Before(deadline); {
			try := *p
			try.Steps = append(append([]step(nil), p.Steps[:i]...), p.Steps[i+size:]...)
			if err := simulate(t, &try); err != nil {
				p, reason, again = &try, err, size > 1
				continue
			}
			i += size
		}
	}
	return p, reason
}

func (w *world) run() error {
	// The Engine's clock runs with the bubble's, which begins in the year 2000 and
	// stands still while something is done: a nanosecond tells one time from the next.
	var ticks atomic.Int64
	w.e = dockertest.New(dockertest.InMemory(), dockertest.WithAPIVersion(w.p.API, ""),
		dockertest.WithClock(func() time.Time { return time.Now().Add(time.Duration(w.clock.Load() + ticks.Add(1))) }))
	must(w.t, w.e.Serve())
	defer w.e.Close()
	w.e.SetLiveRestore(w.p.Live)
	w.start()
	for i, c := range w.p.Containers {
		spec := dockertest.Container{Name: "c" + strconv.Itoa(i), TTY: c.TTY, Driver: c.Driver, MaxSize: c.MaxSize, MaxFile: c.MaxFile, Compress: c.Compress}
		if c.Driver == "" && w.p.Reader == readerAuto {
			spec.LogDir = w.dir
		}
		x := &written{spec: c, c: w.e.Run(spec)}
		if c.MaxSize > 0 {
			x.lossy = lossCounted
			if spec.LogDir != "" {
				// Files that are removed between two looks are told by the kernel's clock,
				// which knows nothing of virtual time.
				x.lossy = lossSilent
			}
		}
		w.all = append(w.all, x)
	}
	for _, s := range w.p.Steps {
		time.Sleep(time.Duration(s.After) * time.Millisecond)
		w.do(s)
	}
	w.heal()
	time.Sleep(settleAfter)
	var problems []error
	if h := w.agent.col.Health(); !h.Ready {
		problems = append(problems, fmt.Errorf("not ready in the end: %v", h.Problems))
	}
	for _, x := range w.all {
		x.c.Stop() // what is unterminated comes now
	}
	time.Sleep(settleAfter)
	w.stop(true)
	for _, x := range w.all {
		problems = append(problems, w.check(x))
	}
	if strings.Contains(w.log.String(), "panic") {
		problems = append(problems, errors.New("a panic was caught"))
	}
	err := errors.Join(problems...)
	if err != nil {
		err = fmt.Errorf("%w\nthe log's end:\n%s", err, tail(w.log.String(), 12_000))
	}
	return err
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

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

// heal ends all faults.
func (w *world) heal() {
	for _, f := range w.undo {
		f()
	}
	w.undo = nil
	w.e.Throttle(0)
	w.e.Silence(0)
	w.e.CutAfter(0, 0)
	w.e.CutFollowers() // the silent ones
	must(w.t, w.e.Up())
	w.agent.pause(false)
}

func (w *world) do(s step) {
	x := w.all[s.On%len(w.all)]
	pause := time.Duration(s.For) * time.Millisecond
	switch s.Do {
	case "lines":
		x.write(s)
	case "part":
		x.writePart(s)
	case "stop":
		x.end(x.c.Stop)
	case "die":
		x.end(func() { x.c.Die(1) })
	case "start":
		x.c.Start()
	case "restart":
		x.end(x.c.Stop)
		time.Sleep(3 * time.Millisecond) // no Engine is so fast that both have one time
		x.c.Start()
	case "runs":
		for range s.N {
			x.c.Start()
			x.write(step{Std: s.Std, N: 3, Size: 20, Kind: "numbered"})
			x.end(func() { x.c.Die(0) })
			time.Sleep(pause)
		}
	case "rename":
		x.n++
		x.c.Rename(fmt.Sprintf("%s-%d", x.c.Name()[:2], x.n))
	case "pause container":
		x.c.Pause()
		time.Sleep(pause)
		x.c.Unpause()
	case "rotate log":
		if x.spec.MaxSize > 0 {
			_ = x.c.RotateLog()
		}
	case "tear":
		x.damaged = true
		_ = x.c.TearLog(dockertest.Std(s.Std), "torn", 12)
	case "garbage":
		x.damaged = true
		_ = x.c.GarbageLog([]byte("no record at all\n"))
	case "engine down", "engine crash":
		if !w.p.Live {
			for _, x := range w.all {
				x.finish()
			}
		}
		if s.Do == "engine down" {
			w.e.Down()
		} else {
			w.e.Crash()
		}
		time.Sleep(pause)
		must(w.t, w.e.Up())
		for _, x := range w.all {
			x.c.Start()
		}
	case "engine hangs":
		undo := w.e.Hang()
		time.Sleep(pause)
		undo()
	case "engine refuses":
		ep := map[string]dockertest.Endpoint{"": dockertest.Any, "logs": dockertest.Logs, "inspect": dockertest.Inspect, "list": dockertest.List}[s.Kind]
		undo := w.e.Override(ep, nil, dockertest.Answer{Status: 500, Message: "no"})
		time.Sleep(pause)
		undo()
	case "events lost":
		w.e.DropEvents(s.N)
	case "events cut":
		w.e.CutEvents()
	case "cut":
		x.c.CutFollowers()
	case "end":
		x.c.EndFollowers()
	case "silence":
		x.c.Silence(s.N % 3)
	case "system error":
		x.c.SystemErr("simulated")
	case "throttle":
		w.e.Throttle(s.Size)
		time.Sleep(pause)
		w.e.Throttle(0)
	case "replay":
		if w.p.API < followDoublesBelow {
			x.c.ReplayFollowers(s.N)
		}
	case "cut after":
		x.c.CutAfter(int64(s.Size), s.N%4)
	case "clock":
		w.clock.Add(int64(pause))
	case "sink pauses":
		w.agent.pause(true)
		time.Sleep(pause)
		w.agent.pause(false)
	case "agent restarts":
		w.stop(s.Std == stdout)
		w.start()
	case "agent is killed":
		w.kill()
		w.start()
	case "agent is away":
		w.stop(true)
		time.Sleep(pause)
		w.start()
	default:
		w.t.Fatalf("no step %q", s.Do)
	}
}

// std is the std stream that a write to std ends in.
func (x *written) std(std int) int {
	if x.spec.TTY {
		return stdout
	}
	return std
}

// write writes the lines of a step.
func (x *written) write(s step) {
	std, end := x.std(s.Std), "\n"
	if x.spec.TTY {
		end = "\r\n"
	}
	for range s.N {
		x.n++
		line := makeLine(s, x.n)
		if !x.c.Write(dockertest.Std(std), []byte(line+end)) {
			return // it does not run
		}
		x.lines[std] = append(x.lines[std], x.part[std]+line)
		x.part[std] = ""
		time.Sleep(time.Duration(s.For) * time.Millisecond)
	}
}

// writePart writes the beginning of a line.
func (x *written) writePart(s step) {
	std := x.std(s.Std)
	x.n++
	part := makeLine(step{Size: s.Size, Kind: "numbered"}, x.n)
	if x.spec.TTY && len(x.part[std])+len(part) > chunkSize {
		return // nothing tells the next record from the text of such a line that has no end
	}
	if x.c.Write(dockertest.Std(std), []byte(part)) {
		x.part[std] += part
	}
}

// end has a run end, and with it the unterminated lines.
func (x *written) end(how func()) {
	x.finish()
	how()
}

func (x *written) finish() {
	for std := range x.part {
		if x.part[std] != "" {
			x.lines[std] = append(x.lines[std], x.part[std])
			x.part[std] = ""
		}
	}
}

func makeLine(s step, n int) string {
	head := strconv.Itoa(n) + " "
	switch s.Kind {
	case "empty":
		return ""
	case "same":
		head = "same "
	case "json":
		return fmt.Sprintf(`{"n":%d,"log":"\"\u0000<>&","stream":"stdout","time":"2006-01-02T15:04:05.000000000Z"}`, n)
	case "utf8":
		return head + strings.Repeat("日本é\x01\t\"", s.Size/12)
	}
	if s.Size <= len(head) {
		return head
	}
	return head + strings.Repeat("x", s.Size-len(head))
}

// check compares what a container wrote with what came.
func (w *world) check(x *written) error {
	x.finish()
	for std := stdout; std <= stderr; std++ {
		want, have := x.stored(std), x.came[std]
		if x.lossy == lossSilent { // then a fragment does not know that it is one
			have = slices.DeleteFunc(slices.Clone(have), func(line string) bool { return !slices.Contains(want, line) })
		}
		if x.lossy == lossNone && len(x.fragments[std]) > 0 {
			return fmt.Errorf("container %s, std %d: a line came flagged as incomplete: %s", x.c.Name(), std, brief(x.fragments[std][0]))
		}
		if err := compare(want, have, w.kills > 0); err != nil {
			counted := w.gaps > 0 && strings.Contains(w.log.String(), "gap: ")
			var missing missingError
			if errors.As(err, &missing) && (x.lossy == lossSilent || (x.lossy == lossCounted && counted)) {
				continue
			}
			return fmt.Errorf("container %s, std %d, %v gaps: %w", x.c.Name(), std, w.gaps, err)
		}
	}
	return nil
}

// stored is what the log driver makes of the lines: json-file replaces each byte
// that is no UTF-8, also where it cuts a long line inside of a character.
func (x *written) stored(std int) []string {
	if x.spec.Driver != "" {
		return x.lines[std]
	}
	all := make([]string, len(x.lines[std]))
	for i, line := range x.lines[std] {
		for from := 0; from < len(line); from += chunkSize {
			all[i] += string([]rune(line[from:min(from+chunkSize, len(line))]))
		}
	}
	return all
}

type missingError struct{ text string }

func (e missingError) Error() string { return e.text }

// compare wants each line of want once and in order in have; after a kill lines
// may come again, in a row from an earlier one on.
func compare(want, have []string, killed bool) error {
	i, most := 0, 0 // next of want, and how far it ever was
	missing, first := 0, -1
	for k, line := range have {
		if i < len(want) && want[i] == line {
			i++
			most = max(most, i)
			continue
		}
		// Some are missing, or it begins again.
		at := indexFrom(want, line, i)
		if killed {
			if back := lastIndexBefore(want, line, i); back >= 0 {
				at = back
			}
		}
		switch {
		case at < 0:
			return fmt.Errorf("record %d of %d is no line that was to come there: %s (after line %d of %d)", k, len(have), brief(line), i, len(want))
		case at > most:
			if missing += at - most; first < 0 {
				first = most
			}
		}
		i = at + 1
		most = max(most, i)
	}
	if missing += len(want) - most; missing > 0 {
		if first < 0 {
			first = most
		}
		return missingError{fmt.Sprintf("%d of %d lines are missing, the first is %s", missing, len(want), brief(want[first]))}
	}
	return nil
}

func indexFrom(s []string, line string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i] == line {
			return i
		}
	}
	return -1
}

func lastIndexBefore(s []string, line string, before int) int {
	for i := min(before, len(s)) - 1; i >= 0; i-- {
		if s[i] == line {
			return i
		}
	}
	return -1
}

func brief(s string) string { return fmt.Sprintf("%.40q (%d bytes)", s, len(s)) }

var _ io.Writer = (*logBuffer)(nil)
