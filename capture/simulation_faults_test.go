package capture_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/decode"
)

// faults is what is wrong at the moment, beside the steps of the plan.
type faults struct {
	past   []period // in which something was wrong that is over
	active map[string]*fault
	over   atomic.Int64 // when the last one ended
}

type fault struct {
	since time.Time
	timer *time.Timer
	undo  func()
}

// during has something be wrong for a while. Of a kind there is one at a time.
func (w *world) during(kind string, ms int64, begin func() (undo func())) {
	w.mu.Lock()
	_, there := w.faults.active[kind]
	w.mu.Unlock()
	if there {
		return
	}
	f := &fault{since: time.Now(), undo: sync.OnceFunc(begin())} // its time may be over when all are ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.active == nil {
		w.faults.active = map[string]*fault{}
	}
	w.faults.active[kind] = f
	f.timer = time.AfterFunc(time.Duration(max(ms, 1))*time.Millisecond, func() { w.undo(kind, f) })
}

// sinceFaults is how long no fault is over yet, or all are.
func (w *world) sinceFaults() time.Duration {
	return time.Duration(time.Now().UnixNano() - w.faults.over.Load())
}

func (w *world) undo(kind string, f *fault) {
	w.mu.Lock()
	mine := w.faults.active[kind] == f
	w.mu.Unlock()
	if !mine {
		return
	}
	f.undo()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.faults.active, kind)
	w.faults.over.Store(time.Now().UnixNano())
	if !bearable(kind) {
		w.faults.past = append(w.faults.past, period{f.since, time.Now()})
	}
}

// end ends what is wrong.
func (f *faults) end(w *world) {
	w.mu.Lock()
	active := map[string]*fault{}
	for kind, one := range f.active {
		active[kind] = one
	}
	w.mu.Unlock()
	for kind, one := range active {
		one.timer.Stop()
		w.undo(kind, one)
	}
}

// has says since when something of a kind is wrong, zero if nothing is.
func (w *world) has(kinds ...string) (since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, kind := range kinds {
		if f := w.faults.active[kind]; f != nil && (since.IsZero() || f.since.Before(since)) {
			since = f.since
		}
	}
	return since
}

// struck notes a fault of a moment.
func (w *world) struck() {
	w.mu.Lock()
	w.faults.over.Store(time.Now().UnixNano())
	w.faults.past = append(w.faults.past, period{time.Now(), time.Now()})
	w.mu.Unlock()
}

// bearable says whether an agent sees what happens, and in time, while something is
// wrong.
func bearable(kind string) bool {
	return strings.HasPrefix(kind, "paused") || strings.HasPrefix(kind, "leaves out")
}

// calm says that nothing was wrong from a time on, and a minute before, and that no
// agent ended.
func (w *world) calm(from time.Time, d time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	within := func(p period) bool { return p.to.After(from.Add(-time.Minute)) && p.from.Before(from.Add(d)) }
	return !w.stepped.Load() && !slices.ContainsFunc(w.faults.past, within) && !w.endsWithin(from.Add(-time.Minute), d+time.Minute)
}

// blindFor is how long after a fault the agent may not know of a container.
const blindFor = 5 * time.Minute

// blind says that nobody may see what happens to containers at the moment, or
// that the agent may not have found its way back to them.
func (w *world) blind() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for kind := range w.faults.active {
		switch {
		case kind == "sink", kind == "slow", kind == "throttle", kind == "refused logs", kind == "refused inspect", bearable(kind):
		default:
			return true
		}
	}
	return w.agent == nil || time.Since(w.agent.since) < blindFor || w.sinceFaults() < blindFor
}

func (w *world) do(s step) {
	i := s.On % len(w.slots)
	x := w.slots[i]
	pause := time.Duration(s.For) * time.Millisecond
	away := !w.has("down").IsZero() // of the Engine: then nobody starts or removes anything
	switch s.Do {
	case "lines":
		x.write(s)
	case "writes on":
		w.writing.Go(func() { x.writeOn(s) })
	case "part":
		x.writePart(s)
	case "odd times":
		x.oddTimes(s)
	case "clock":
		w.stepped.Store(true)
		w.clock.Add(int64(pause))
	case "stop", "start", "die", "restart", "runs", "rename", "remove", "recreate", "out of the filter", "into the filter", "pause container":
		if !away {
			w.live(s, i, x, pause)
		}
	case "rotate log", "tear", "garbage", "truncate log", "copytruncate", "move log", "save log":
		x.handle(s)
	case "engine down", "engine crash", "machine crash", "engine upgrade", "engine hangs", "engine refuses", "slow first byte", "throttle", "held":
		w.engine(s, x, away)
	case "events lost", "events cut", "events late", "list lacks":
		w.events(s, x)
	case "cut", "end", "leaves out", "silence", "system error", "replay", "skip", "cut after", "injected", "no record":
		w.stream(s, x)
	case "sink pauses", "sink refuses", "sink is late", "agent restarts", "agent is killed", "agent is away", "other filter":
		w.ours(s, i, pause)
	default:
		w.t.Fatalf("no step %q", s.Do)
	}
}

// ours is what happens to the agent and to Fluent Bit.
func (w *world) ours(s step, i int, pause time.Duration) {
	switch s.Do {
	case "sink pauses", "sink refuses", "sink is late":
		w.during("sink", s.For, func() func() {
			w.setSink(s)
			return func() { w.setSink(step{}) }
		})
	case "agent restarts":
		w.stop(s.Std == decode.Stdout)
		w.start()
	case "agent is killed":
		w.kill()
		w.start()
	case "agent is away":
		w.stop(true)
		time.Sleep(pause)
		w.start()
	case "other filter":
		name := w.slots[i].name
		if w.hidden == nil {
			w.hidden = map[string]bool{}
		}
		w.stop(true)
		w.hidden[name] = !w.hidden[name]
		w.slots[i].filtered()
		w.start()
	}
}

// setSink has Fluent Bit do what a step says, until another does.
func (w *world) setSink(s step) {
	w.mu.Lock()
	w.sink = s
	a := w.agent
	w.mu.Unlock()
	if a != nil {
		w.apply(a)
	}
}

// apply has an agent's Fluent Bit do what it does at the moment.
func (w *world) apply(a *simAgent) {
	w.mu.Lock()
	s := w.sink
	w.mu.Unlock()
	a.change(func() {
		a.paused, a.late, a.refusing = s.Do == "sink pauses", s.Do == "sink is late", -1
		if s.Do == "sink refuses" {
			a.refusing = s.N
		}
		a.acknowledge()
	})
}
