package capture

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// faults is what is wrong at the moment, beside the steps of the plan.
type faults struct {
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
	f := &fault{since: time.Now(), undo: begin()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.active == nil {
		w.faults.active = map[string]*fault{}
	}
	w.faults.active[kind] = f
	f.timer = time.AfterFunc(time.Duration(ms)*time.Millisecond, func() { w.undo(kind, f) })
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
	w.mu.Unlock()
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
		case kind == "sink", kind == "slow", kind == "throttle", kind == "refused logs", kind == "refused inspect", strings.HasPrefix(kind, "paused"):
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
	case "cut", "end", "silence", "system error", "replay", "skip", "cut after", "injected", "no record":
		w.stream(s, x)
	case "sink pauses", "sink refuses", "sink is late", "agent restarts", "agent is killed", "agent is away", "other filter":
		w.ours(s, i, pause)
	default:
		w.t.Fatalf("no step %q", s.Do)
	}
}

// live is what happens to a container.
func (w *world) live(s step, i int, x *written, pause time.Duration) {
	if x.gone && s.Do != "start" && s.Do != "recreate" && s.Do != "runs" {
		return
	}
	switch s.Do {
	case "stop":
		x.end(x.c.Stop)
	case "die":
		x.end(func() { x.c.Die(1) })
	case "start":
		w.startAgain(i)
	case "restart":
		x.end(x.c.Stop)
		time.Sleep(3 * time.Millisecond) // no Engine is so fast that both have one time
		w.startAgain(i)
	case "runs":
		for range s.N {
			w.startAgain(i)
			x = w.slots[i]
			x.write(step{Std: s.Std, N: 3, Size: 20, Kind: "numbered"})
			x.end(func() { x.c.Die(0) })
			time.Sleep(pause + time.Millisecond)
		}
	case "rename":
		x.n++
		if !w.hidden[x.name] && x.wanted() {
			x.c.Rename(fmt.Sprintf("%s-%d", x.name, x.n))
		}
	case "out of the filter", "into the filter":
		w.want(i, s.Do == "into the filter")
	case "remove":
		x.end(x.c.Remove)
		if !x.gone { // it did not run
			x.c.Remove()
			x.mu.Lock()
			x.removed()
			x.mu.Unlock()
		}
	case "recreate":
		if !x.gone {
			w.live(step{Do: "remove"}, i, x, 0)
		}
		w.create(i)
	case "pause container":
		w.during(fmt.Sprint("paused ", i), s.For, func() func() {
			x.c.Pause()
			return x.c.Unpause
		})
	}
}

func (w *world) startAgain(i int) {
	if w.slots[i].gone {
		w.create(i)
		return
	}
	x := w.slots[i]
	if x.c.State() == "exited" && !x.moved.IsZero() {
		_ = x.c.ReopenLog() // as the Engine does at each start
	}
	x.c.Start()
}

// handle is what somebody does to a log's files.
func (x *written) handle(s step) {
	x.mu.Lock()
	defer x.mu.Unlock()
	path := x.c.LogPath()
	switch s.Do {
	case "rotate log":
		if x.spec.MaxSize > 0 && !x.spec.Files { // no Engine rotates a file before its time
			_ = x.c.RotateLog()
			x.forget()
		}
		return
	case "tear":
		if x.c.TearLog(dockertest.Std(x.std(s.Std)), "torn", 12) == nil {
			x.torn = true
		}
		return
	case "garbage":
		if x.c.GarbageLog([]byte("no record at all\n")) == nil {
			x.torn = true
		}
		return
	}
	if _, err := os.Stat(path); err != nil || !x.spec.Files || x.gone {
		return
	}
	x.handled = time.Now()
	switch s.Do {
	case "truncate log":
		must(x.w.t, x.c.TruncateLog(x.n%2 == 0))
	case "copytruncate":
		if b, err := os.ReadFile(path); err == nil {
			must(x.w.t, os.WriteFile(path+".copy", b, 0o640))
		}
		must(x.w.t, x.c.TruncateLog(x.n%2 == 0))
	case "move log":
		x.moved, x.movedBlind = time.Now(), x.movedBlind || !x.w.has("down", "hang", "refused ", "refused logs", "refused inspect", "refused list").IsZero()
		_ = os.Rename(path, fmt.Sprint(path, ".old", x.n))
	case "save log": // as an editor does: the Engine writes on in what nobody sees
		x.moved, x.movedBlind = time.Now(), x.movedBlind || !x.w.has("down", "hang", "refused ", "refused logs", "refused inspect", "refused list").IsZero()
		if b, err := os.ReadFile(path); err == nil {
			must(x.w.t, os.WriteFile(path+"~", b, 0o640))
			must(x.w.t, os.Rename(path+"~", path))
		}
	}
}

// engine is what becomes of the Engine.
func (w *world) engine(s step, x *written, away bool) {
	switch s.Do {
	case "engine down", "engine crash", "machine crash", "engine upgrade":
		if away {
			return
		}
		w.during("down", s.For, func() func() { return w.goDown(s, x) })
	case "engine hangs":
		w.during("hang", s.For, w.e.Hang)
	case "engine refuses":
		ep := map[string]dockertest.Endpoint{
			"": dockertest.Any, "logs": dockertest.Logs, "inspect": dockertest.Inspect, "list": dockertest.List, "events": dockertest.Events,
		}[s.Kind]
		ans := map[string]dockertest.Answer{
			"": {Status: 500, Message: "no"}, "500": {Status: 500, Message: "no"}, "403": {Status: 403, Message: "no"}, "401": {Status: 401, Message: "no"},
			"hang": {Hang: true}, "cut": {Cut: true}, "garbage": {Body: []byte("<html>no Engine</html>\n")}, "nothing": {Body: []byte{}},
		}[s.How]
		if logs := ep == dockertest.Logs || ep == dockertest.Any; logs && (s.How == "nothing" || s.How == "garbage" && w.anyTTY()) {
			return // which is a log: an empty one, or a terminal's
		}
		w.during("refused "+s.Kind, s.For, func() func() { return w.e.Override(ep, nil, ans) })
	case "slow first byte":
		d := time.Duration(s.Size) * time.Millisecond
		w.slowest.Store(max(w.slowest.Load(), int64(d)))
		w.during("slow", s.For, func() func() {
			w.e.FirstByte(d)
			return func() { w.e.FirstByte(0) }
		})
	case "held": // somebody reads the log, and does not come to its end
		w.during("held "+x.name, s.For, x.c.HoldFiles)
	case "throttle":
		w.during("throttle", s.For, func() func() {
			w.e.Throttle(s.Size)
			return func() { w.e.Throttle(0) }
		})
	}
}

func (w *world) anyTTY() bool {
	for _, c := range w.p.Containers {
		if c.TTY {
			return true
		}
	}
	return false
}

// goDown ends the Engine, and with it the containers unless they are restored
// live. A crash of the machine damages a log, and ends them all.
func (w *world) goDown(s step, x *written) (undo func()) {
	live := w.p.Live && s.Do != "machine crash"
	w.e.SetLiveRestore(live)
	ran := make([]*written, 0, len(w.slots))
	for _, y := range w.slots {
		if state := y.c.State(); state == "running" || state == "paused" {
			ran = append(ran, y)
		}
	}
	down := w.e.Crash
	if s.Do == "engine down" {
		down = w.e.Down
	}
	if live {
		down()
	} else {
		endAll(ran, down)
	}
	if s.Do == "machine crash" && !x.gone && !x.spec.TTY {
		x.mu.Lock()
		if x.spec.Files {
			if x.c.GarbageLog(make([]byte, 3000)) == nil { // NULs
				x.torn = true
			}
		} else {
			if x.damagedFrom < 0 {
				x.damagedFrom = x.c.Records()
			}
			x.damagedTo, x.readable = x.c.Records()+1, time.Time{}
			if w.api == "1.41" {
				x.damagedTo += 27 // what its decoder had buffered
			}
			x.c.Damage()
		}
		x.mu.Unlock()
	}
	return func() {
		w.e.SetLiveRestore(w.p.Live)
		if s.Do == "engine upgrade" {
			w.api = s.Kind
			w.e.SetAPIVersion(s.Kind, "")
		}
		must(w.t, w.e.Up())
		for _, y := range ran {
			y.c.Start()
		}
	}
}

// events is what happens to what the Engine tells of its containers.
func (w *world) events(s step, x *written) {
	w.struck()
	switch s.Do {
	case "events lost":
		w.unheard = true
		w.e.DropEvents(s.N)
	case "events cut":
		w.e.CutEvents()
	case "events late":
		w.during("events late", s.For, func() func() {
			w.e.DelayEvents(time.Duration(s.Size) * time.Millisecond)
			return func() { w.e.DelayEvents(0) }
		})
	case "list lacks":
		x.c.Hide(min(s.N, 2))
	}
}

// stream is what happens to the open log of a container.
func (w *world) stream(s step, x *written) {
	w.struck()
	switch s.Do {
	case "cut":
		x.c.CutFollowers()
	case "end":
		x.c.EndFollowers()
	case "silence":
		x.c.Silence(s.N % 3)
	case "system error":
		if !x.spec.TTY { // to which it is a line
			x.c.SystemErr("simulated")
		}
	case "replay":
		if w.api == "1.41" && !x.undated && !x.spec.TTY { // equal ones may well be two
			x.c.ReplayFollowers(s.N)
		}
	case "skip":
		defer x.write(step{Std: s.Std, N: s.N + 3, Size: 20}) // of which the first are left out
		x.mu.Lock()
		defer x.mu.Unlock()
		if came := x.last != [3]int{-1, -1, -1}; came && x.c.Followers() > 0 && !x.spec.TTY {
			x.skips++
			x.c.SkipFollowers(s.N)
		}
	case "cut after":
		x.c.CutAfter(int64(s.Size), s.N)
	case "injected", "no record":
		if x.spec.TTY {
			return
		}
		// A log that ends in such bytes is read when more is written.
		defer x.write(step{Std: s.Std, N: 1})
		x.mu.Lock()
		defer x.mu.Unlock()
		raw := map[string][]byte{
			"text": []byte("<html>no frame</html>"), "empty frame": dockertest.AppendFrame(nil, dockertest.Stdout, nil),
			"unknown frame": dockertest.AppendFrame(nil, 9, []byte("of nobody")), "huge frame": dockertest.HugeHeader(),
		}[s.Kind]
		if s.Do == "injected" {
			x.odd = x.odd || x.c.Followers() > 0
			x.c.Inject(raw)
		} else if !strings.HasPrefix(s.Kind, "huge") && x.c.Records() > 0 && x.c.Raw(raw) {
			x.odd = true
		}
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

// want gives the i-th container a name that is captured, or one that is not.
func (w *world) want(i int, on bool) {
	x := w.slots[i]
	if on == !strings.HasPrefix(x.c.Name(), hiddenName) || x.gone {
		return
	}
	x.n++
	if name := fmt.Sprintf("%s-%d", x.name, x.n); on {
		x.c.Rename(name)
	} else {
		x.c.Rename(hiddenName + name)
	}
	x.filtered()
}

// hiddenName is what the names of containers begin with that are not captured.
const hiddenName = "hidden"

// excluded are the globs of Exclude.
func (w *world) excluded() (globs []string) {
	globs = append(globs, hiddenName+"*")
	for _, x := range w.slots {
		if w.hidden[x.name] {
			globs = append(globs, x.name, x.name+"-*")
		}
	}
	return globs
}

// wanted says whether the container is to be captured.
func (x *written) wanted() bool {
	return !x.w.hidden[x.name] && !strings.HasPrefix(x.c.Name(), hiddenName)
}

// filtered notes whether it is.
func (x *written) filtered() {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.unwanted)
	out := n > 0 && x.unwanted[n-1].to.IsZero()
	switch wanted := x.wanted(); {
	case wanted && out:
		x.unwanted[n-1].to = time.Now()
	case !wanted && !out:
		x.unwanted = append(x.unwanted, period{from: time.Now()})
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
