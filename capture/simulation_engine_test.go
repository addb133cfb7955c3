package capture_test

import (
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// heldSlack is how long requests may share what somebody has let go.
const heldSlack = 30 * time.Second

// engine is what becomes of the Engine.
func (w *world) engine(s step, x *written, away bool) {
	pause := time.Duration(s.For) * time.Millisecond
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
			return func() { w.e.FirstByte(w.onTheWay()) }
		})
	case "held": // somebody reads the log, and does not come to its end
		w.during("held "+x.name, s.For, func() func() {
			if !x.spec.Compress || w.api != "1.41" {
				return func() {}
			}
			x.mu.Lock()
			defer x.mu.Unlock()
			x.held = time.Now().Add(pause + heldSlack)
			return x.c.HoldFiles()
		})
	case "throttle":
		w.during("throttle", s.For, func() func() {
			w.e.Throttle(s.Size)
			return func() { w.e.Throttle(w.p.Pace) }
		})
	}
}

func (w *world) anyTTY() bool {
	return slices.ContainsFunc(w.p.Containers, func(c planContainer) bool { return c.TTY })
}

// mayBecome says whether the Engine may become another: 20.10 hides empty lines of
// journald that a later one has shown.
func (w *world) mayBecome(api string) bool {
	return api != "1.41" || !slices.ContainsFunc(w.p.Containers, func(c planContainer) bool { return c.Driver == "journald" })
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
			x.buffered = false
			x.losesBuffered()
			x.c.Damage()
		}
		x.mu.Unlock()
	}
	return func() {
		w.e.SetLiveRestore(w.p.Live)
		if s.Do == "engine upgrade" && w.mayBecome(s.Kind) {
			w.api = s.Kind
			w.e.SetAPIVersion(s.Kind, "")
			for _, y := range w.containers() {
				y.mu.Lock()
				y.losesBuffered()
				y.mu.Unlock()
			}
		}
		must(w.t, w.e.Up())
		for _, y := range ran {
			y.c.Start()
		}
	}
}

// losesBuffered notes what the decoder of Engine 20.10 has buffered behind a damage, and
// loses with it. mu is held.
func (x *written) losesBuffered() {
	if x.w.api == "1.41" && x.damagedFrom >= 0 && !x.buffered {
		x.damagedTo, x.buffered = x.damagedTo+27, true
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

// skip has what follows the log leave out the next n records. Of a terminal, and of
// journald, where pieces have times of their own, nothing tells which line lacks one.
func (x *written) skip(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if came := x.last != [3]int{-1, -1, -1}; came && x.c.Followers() > 0 && !x.spec.TTY && x.spec.Driver != "journald" {
		x.skips++
		x.c.SkipFollowers(n)
	}
}

// leaveOut does so again and again.
func (x *written) leaveOut(s step, over <-chan struct{}) {
	tick := time.NewTicker(time.Duration(max(s.Size, 1)) * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			x.skip(s.N)
		case <-over:
			return
		case <-x.w.quiet:
			return
		}
	}
}

// stream is what happens to the open log of a container.
func (w *world) stream(s step, x *written) {
	if s.Do != "leaves out" && s.Do != "skip" {
		w.struck()
	}
	switch s.Do {
	case "cut":
		x.c.CutFollowers()
	case "end":
		x.mu.Lock()
		x.ended = x.ended || x.c.Followers() > 0
		x.mu.Unlock()
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
		x.skip(s.N)
	case "leaves out":
		w.during("leaves out "+x.name, s.For, func() func() {
			over := make(chan struct{})
			w.writing.Go(func() { x.leaveOut(s, over) })
			return func() { close(over) }
		})
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
