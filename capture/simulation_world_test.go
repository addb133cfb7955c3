package capture_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// world is one simulation while it runs: an Engine, an agent, what was written
// and what came.
type world struct {
	t     *testing.T
	p     *plan
	e     *dockertest.Engine
	dir   string
	log   *logBuffer
	ids   *rand.Rand
	clock atomic.Int64 // nanoseconds that the Engine's is ahead
	ticks atomic.Int64
	asks  atomic.Uint64 // how often the latency was drawn

	writing sync.WaitGroup // who write beside the steps
	quiet   chan struct{}  // closed: they are to end
	pen     chan struct{}  // capacity 1: of who writes beside the steps, and of what its lines must not meet
	stats   *simStats
	began   time.Time

	all   []*written // that ever were
	slots []*written // the one of each container of the plan that is the present one

	agents  int
	ended   []endedAgent
	stepped atomic.Bool // the clock
	started time.Time   // the present agent
	hidden  map[string]bool
	api     string        // of the Engine at the moment
	slowest atomic.Int64  // nanoseconds
	unheard bool          // events were lost
	turn    chan struct{} // capacity 1: of the watch, and of what it must not meet

	mu       sync.Mutex
	requests map[string]*burst // for logs, by container; guarded by mu
	agent    *simAgent         // nil while none runs; guarded by mu
	said     []said            // guarded by mu
	problems []error           // guarded by mu
	finds    int               // of all kinds; guarded by mu
	lines    atomic.Int64      // that were written
	faults   faults            // guarded by mu
	sink     step              // what Fluent Bit does that is wrong; guarded by mu
}

// simStats is what a report tells.
type simStats struct {
	plans, lines, came, joined, doubled, lost, late, refused int
	hours                                                    float64
	faults                                                   map[string]int
}

// settleAfter is how long the agent has, when all faults are over, to deliver
// what is left and to be ready.
const settleAfter = 30 * time.Minute

// run runs the plan and says what was wrong.
func (w *world) run() error {
	w.began, w.api, w.turn = time.Now(), w.p.API, make(chan struct{}, 1)
	w.quiet, w.pen = make(chan struct{}), make(chan struct{}, 1)
	w.ids = rand.New(rand.NewPCG(w.p.Seed, 1))
	w.e = dockertest.New(dockertest.InMemory(), dockertest.WithAPIVersion(w.p.API, ""),
		dockertest.WithClock(func() time.Time { return time.Unix(0, w.now()) }))
	w.e.BeforeLog(w.asked)
	must(w.t, w.e.Serve())
	defer w.e.Close()
	w.e.SetLiveRestore(w.p.Live)
	if w.p.Latency > 0 {
		w.slowest.Store(2 * w.p.Latency * int64(time.Millisecond))
		w.e.Delay(func(dockertest.Endpoint) (arrives, answers time.Duration) { return w.onTheWay(), w.onTheWay() })
		w.e.FirstByte(w.onTheWay())
	}
	w.e.Throttle(w.p.Pace)
	for i := range w.p.Containers {
		w.slots = append(w.slots, nil)
		w.create(i)
	}
	w.start()
	stop := w.watch()
	for _, s := range w.p.Steps {
		time.Sleep(time.Duration(s.After) * time.Millisecond)
		w.stats.faults[s.Do]++
		w.do(s)
	}
	close(w.quiet)
	w.writing.Wait()
	w.heal()
	w.settle()
	for _, x := range w.slots {
		x.end(x.c.Stop) // what is unterminated comes now
	}
	w.settle()
	time.Sleep(time.Minute) // for what should not come
	stop()
	if h := w.agent.col.Health(); !h.Ready && !w.nothingReadable(0) {
		w.find("not ready in the end: %v", h.Problems)
	}
	w.stop(true)
	w.judge()
	w.stats.hours += time.Since(w.began).Hours()
	w.stats.lines += int(w.lines.Load())
	if strings.Contains(w.log.String(), "panic") {
		w.find("a panic was caught")
	}
	err := errors.Join(w.problems...)
	if err != nil {
		err = fmt.Errorf("%w\nthe log's end:\n%s", err, tail(w.log.String(), 6_000))
	}
	return err
}

// maxFinds is how many problems of a plan are told, and endlessFinds is after how
// many its agent is given no more room: there may be no end of them.
const (
	maxFinds     = 8
	endlessFinds = 200
)

// find notes a problem.
func (w *world) find(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.problems {
		if p.(*simProblem).format == format { //nolint:errorlint // all are
			n++
		}
	}
	if w.finds++; w.finds == endlessFinds && w.agent != nil {
		w.agent.given.Store(true)
	}
	if len(w.problems) < maxFinds && n < 2 {
		at := "[" + time.Since(w.began).Round(time.Millisecond).String() + "] "
		w.problems = append(w.problems, &simProblem{format, fmt.Sprintf(at+format, args...)})
	}
}

// simProblem is something that is wrong, of a kind.
type simProblem struct{ format, text string }

func (p *simProblem) Error() string { return p.text }

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// now is the Engine's time. Its clock runs with the bubble's, which begins in the
// year 2000 and stands still while something is done: a nanosecond tells one
// time from the next.
func (w *world) now() int64 { return time.Now().UnixNano() + w.clock.Load() + w.ticks.Add(1) }

// create creates and starts the i-th container of the plan, anew if it was
// there before.
func (w *world) create(i int) {
	c := w.p.Containers[i]
	name := "c" + strconv.Itoa(i)
	spec := dockertest.Container{
		ID: w.newID(), Name: name, TTY: c.TTY, Driver: c.Driver, MaxSize: c.MaxSize, MaxFile: c.MaxFile, Rotates: c.MaxSize > 0, Compress: c.Compress, AutoRemove: c.AutoRemove,
	}
	if c.Files {
		spec.LogDir = w.dir
	}
	x := &written{w: w, spec: c, name: name, born: time.Now(), byText: map[uint64][]*wline{}, last: [3]int{-1, -1, -1}, damagedFrom: -1}
	if w.hidden[name] {
		x.unwanted = []period{{from: time.Now()}}
	}
	w.mu.Lock()
	x.c = w.e.Create(spec)
	w.all = append(w.all, x)
	w.slots[i] = x
	w.mu.Unlock()
	x.c.Start()
}

// onTheWay is how long the next request, or its answer, is on its way.
func (w *world) onTheWay() time.Duration {
	r := rand.New(rand.NewPCG(w.p.Seed, w.asks.Add(1)))
	return time.Duration(r.Int64N(w.p.Latency*int64(time.Millisecond) + 1))
}

func (w *world) newID() string {
	var b []byte
	for range 4 {
		b = binary.BigEndian.AppendUint64(b, w.ids.Uint64())
	}
	return hex.EncodeToString(b)
}

// follows says whether no log file was created between two.
func (w *world) follows(id string, old, next uint64) bool {
	for _, x := range w.containers() {
		if x.c.ID == id {
			all := x.c.LogInodes()
			if n := len(all); next == 0 {
				return n == 0 || all[n-1] == old
			}
			for i := len(all) - 1; i > 0; i-- {
				if all[i] == next {
					return all[i-1] == old
				}
			}
		}
	}
	return true
}

func (w *world) containers() []*written {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all
}

// settle waits until all has come and the agent is ready, or for settleAfter.
func (w *world) settle() {
	for began := time.Now(); time.Since(began) < settleAfter; time.Sleep(5 * time.Second) {
		synctest.Wait()
		if w.patient() && time.Since(began) < shortLife {
			continue
		}
		if (w.agent.col.Health().Ready || w.nothingReadable(0)) && w.complete() {
			return
		}
	}
}

// patient says whether complete may be too early: the list tells of what no event has,
// and what is written behind a file that was handled is due, too.
func (w *world) patient() bool {
	return w.unheard || slices.ContainsFunc(w.all, func(x *written) bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return !x.handled.IsZero()
	})
}

// complete says whether nothing is missing.
func (w *world) complete() bool {
	for _, x := range w.all {
		if x.missing() > 0 {
			return false
		}
	}
	return true
}

// heal ends all faults.
func (w *world) heal() {
	w.faults.end(w)
	w.e.CutAfter(0, 0)
	for _, x := range w.all {
		x.c.Silence(0)
		x.c.CutAfter(0, 0)
		x.c.CutFollowers() // the silent ones
	}
	for i, x := range w.slots {
		if x.gone {
			w.create(i)
		}
		w.want(i, true)
		w.slots[i].c.Start()
	}
	if len(w.hidden) > 0 {
		w.hidden = nil
		w.stop(true)
		w.start()
	}
}
