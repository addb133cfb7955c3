package capture

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// fdGuard watches the open file descriptors of the process. Above FD_Limit it
// gives up descriptors of the capture, the cheapest first: connections that
// idle, then the open logs of the quietest containers, which are polled from
// then on. It does so only where that brings the number below the limit: what
// others have open it can neither close nor make up for.
type fdGuard struct {
	col  *Collector
	task *supervise.Task
	log  *slog.Logger
	fds  fdCount

	warned     bool
	fewSince   time.Time    // when they were no more than FD_Warn after it was warned; zero while they are
	said       string       // the last action
	looks      atomic.Int64 // so far
	parked     []*stream    // whose logs were given up
	calmSince  time.Time    // when there were descriptors enough again; zero while there are not
	recycledAt time.Time
	trouble    say.Trouble
}

// FDs counts open file descriptors.
type FDs struct {
	Connections int `json:"connections"` // to the Engine
	Files       int `json:"files"`       // log files
	Watches     int `json:"watches"`     // inotify instances
	Process     int `json:"process"`     // all of the process, also those that are not the capture's
	Warn        int `json:"warn"`        // above which there is a warning
	Limit       int `json:"limit"`       // above which the guard acts

	err error // why Process is that of an earlier time
}

const (
	// The guard looks guardLooks times per Heartbeat_Interval. What it did has
	// guardStep of such a time to show.
	guardLooks = 6
	guardStep  = 5
	// recycleEvery is how often all streams are opened anew at most.
	recycleEvery = 10 * time.Minute
	// calmBeats is for how many times Heartbeat_Interval there must have been
	// descriptors enough before that is said, and logs that were given up are
	// opened again.
	calmBeats = 2
	// perStream is how many descriptors a stream has at most, for the moment of
	// a rotation.
	perStream = 2
)

var errRecycled = errors.New("all logs are opened anew, too many file descriptors are open")

func newFDGuard(c *Collector) *fdGuard {
	g := &fdGuard{col: c, log: c.log, trouble: say.Trouble{What: "counting the open file descriptors"}}
	g.task = supervise.NewTask(taskGuard, c.log, g.run)
	return g
}

// run guards until ctx is done.
func (g *fdGuard) run(ctx context.Context) error {
	for {
		g.task.Beat()
		wait := g.col.cfg.HeartbeatInterval / guardLooks
		if g.check() {
			wait /= guardStep
		}
		g.looks.Add(1)
		g.task.Rest()
		if !supervise.Sleep(ctx, wait) {
			return nil
		}
	}
}

// count counts the descriptors that are open now.
func (g *fdGuard) count() FDs {
	n := FDs{
		Connections: g.col.api.Connections(),
		Files:       int(g.col.files.Load()),
	}
	n.Process, n.err = g.fds.count()
	n.Warn, n.Limit = fdLimits(g.col.cfg, processLimit())
	if g.col.filesWatch() != nil {
		n.Watches = 1
	}
	return n
}

// margin is how far below the limit there is room to open logs again.
func (n *FDs) margin() int { return max((n.Limit-n.Warn)/4, n.Limit/20) }

// check looks once, and says whether it did something that should show soon.
func (g *fdGuard) check() (acted bool) {
	n := g.count()
	if n.err != nil {
		g.trouble.Report(g.log, n.err)
		return false
	}
	g.trouble.Over(g.log)
	excess := n.Process - n.Limit
	if excess > 0 || len(g.parked) > 0 {
		// They come by the thousand while an output is away, and go with that.
		excess -= g.fds.timers()
	}
	if n.Process > n.Warn && !g.warned {
		g.warned = true
		g.log.Warn("many file descriptors are open (FD_Warn)", "process", n.Process, "connections", n.Connections, "log_files", n.Files, "warn", n.Warn, "limit", n.Limit)
	}
	if excess > 0 {
		g.calmSince, g.fewSince = time.Time{}, time.Time{}
		return g.act(n, excess)
	}
	g.sayFew(n)
	g.unpark(-excess - n.margin())
	return false
}

// sayFew says that a warning is over, once it has been for a while: what waits for
// another attempt of an output that is away comes and goes.
func (g *fdGuard) sayFew(n FDs) {
	switch {
	case !g.warned:
	case n.Process > n.Warn:
		g.fewSince = time.Time{}
	case g.fewSince.IsZero():
		g.fewSince = time.Now()
	case time.Since(g.fewSince) >= calmBeats*g.col.cfg.HeartbeatInterval:
		g.warned, g.said, g.fewSince = false, "", time.Time{}
		g.log.Info("the number of open file descriptors is normal again", "process", n.Process)
	}
}

// act gives up descriptors. Each call goes one step further, since the next
// one shows whether this one was enough.
func (g *fdGuard) act(n FDs, excess int) bool {
	say := func(action, text string, args ...any) {
		g.col.metrics.guardActions.WithLabelValues(action).Inc()
		level := slog.LevelError
		if action == g.said { // idle connections come again and again
			level = slog.LevelDebug
		}
		g.said = action
		g.log.Log(context.Background(), level, "too many file descriptors are open (FD_Limit): "+text, append(args, "process", n.Process, "connections", n.Connections, "log_files", n.Files, "limit", n.Limit)...)
	}
	own := n.Connections + n.Files
	if own < excess {
		if g.said == "" {
			g.said = "none"
			g.log.Warn("too many file descriptors are open (FD_Limit), and they are not the capture's: it gives up none of its own",
				"process", n.Process, "connections", n.Connections, "log_files", n.Files, "limit", n.Limit)
		}
		return false
	}
	if closed := g.col.api.CloseIdle(); closed > 0 {
		say("close_idle", "idle connections were closed", "closed", closed)
		return true
	}
	if quiet := g.park(excess); quiet > 0 {
		say("park", "the quietest containers are polled from now on", "containers", quiet)
		return true
	}
	all := g.col.running()
	if own <= perStream*len(all)+engine.MaxOpens || time.Since(g.recycledAt) < recycleEvery {
		return false // each stream has what it needs
	}
	g.recycledAt = time.Now()
	for _, s := range all {
		s.cut(errRecycled)
	}
	say("recycle", "all logs are opened anew", "streams", len(all))
	return true
}

// park has the n quietest streams polled.
func (g *fdGuard) park(n int) (parked int) {
	if g.col.cfg.Reader == readerFile {
		return 0
	}
	type candidate struct {
		s    *stream
		rate float64
	}
	g.parked = slices.DeleteFunc(g.parked, func(s *stream) bool {
		_, running := g.col.present(s.id)
		gone := !running
		if gone {
			s.parked.Store(false)
		}
		return gone
	})
	var open []candidate
	for _, s := range g.col.running() {
		if reader := s.notes.now(); (reader == readerFile || reader == readerFollow) && !s.parked.Load() && !s.container().AutoRemove {
			open = append(open, candidate{s, s.rate()})
		}
	}
	slices.SortFunc(open, func(a, b candidate) int { return cmp.Compare(a.rate, b.rate) })
	for _, c := range open[:min(n, len(open))] {
		c.s.parked.Store(true)
		c.s.cut(errMoved)
		g.parked = append(g.parked, c.s)
		parked++
	}
	return parked
}

// unpark opens logs that were given up again, as many as there is room for.
func (g *fdGuard) unpark(room int) {
	now := time.Now()
	switch {
	case len(g.parked) == 0:
		return
	case room <= 0:
		g.calmSince = time.Time{}
		return
	case g.calmSince.IsZero():
		g.calmSince = now
		return
	case now.Sub(g.calmSince) < calmBeats*g.col.cfg.HeartbeatInterval:
		return
	}
	g.calmSince = now // the next ones when these have shown
	back := g.parked[:min(room/perStream+1, len(g.parked))]
	for _, s := range back {
		s.parked.Store(false)
		s.cut(errMoved)
	}
	g.parked = slices.Clone(g.parked[len(back):])
	g.log.Info("containers that were polled for want of file descriptors are read as before", "containers", len(back), "still_polled", len(g.parked))
}
