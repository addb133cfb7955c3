package capture

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// fdGuard watches the open file descriptors of the process. Above FD_Limit it
// gives up descriptors of the capture, the cheapest first: connections that
// idle, then the open logs of the quietest containers, which are polled from
// then on, in the end all that is open, once. It never touches what is not the
// capture's.
type fdGuard struct {
	col  *Collector
	task *task
	log  *slog.Logger

	limit      int // the least of FD_Limit and 80 % of the process's limit
	warned     bool
	said       string    // the last action
	parked     []*stream // whose logs were given up
	calmSince  time.Time // when there were descriptors enough again; zero while there are not
	recycledAt time.Time
}

// FDs counts open file descriptors.
type FDs struct {
	Connections int `json:"connections"` // to the Engine
	Files       int `json:"files"`       // log files
	Watches     int `json:"watches"`     // inotify instances
	Process     int `json:"process"`     // all of the process, also those that are not the capture's
	Warn        int `json:"warn"`        // above which there is a warning
	Limit       int `json:"limit"`       // above which the guard acts
}

const (
	// The guard looks guardLooks times per Heartbeat_Interval. What it did has
	// guardStep of such a time to show.
	guardLooks = 6
	guardStep  = 5
	// recycleEvery is how often all streams are opened anew at most: what keeps
	// the number high may not be ours.
	recycleEvery = 10 * time.Minute
	// calmBeats is for how many times Heartbeat_Interval there must have been
	// descriptors enough before logs that were given up are opened again.
	calmBeats = 2
)

var errRecycled = errors.New("all logs are opened anew, too many file descriptors are open")

func newFDGuard(c *Collector) *fdGuard {
	g := &fdGuard{col: c, log: c.log, limit: c.cfg.FDLimit}
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err == nil && rl.Cur < 1<<30 {
		g.limit = min(g.limit, int(rl.Cur)*8/10)
	}
	g.task = newTask(taskGuard, c.log, g.run)
	return g
}

// run guards until ctx is done.
func (g *fdGuard) run(ctx context.Context) error {
	for {
		g.task.beat()
		wait := g.col.cfg.HeartbeatInterval / guardLooks
		if g.check() {
			wait /= guardStep
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// count counts the descriptors that are open now.
func (g *fdGuard) count() FDs {
	n := FDs{
		Connections: g.col.api.connections(),
		Files:       int(g.col.files.Load()),
		Process:     processFDs(),
		Warn:        min(g.col.cfg.FDWarn, g.limit),
		Limit:       g.limit,
	}
	if g.col.filesWatch() != nil {
		n.Watches = 1
	}
	return n
}

// processFDs is how many descriptors the process has open, 0 if that cannot be
// told.
func processFDs() int {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer func() { _ = d.Close() }()
	n := -1 // d itself
	for {
		names, err := d.Readdirnames(1024)
		if n += len(names); err != nil {
			if !errors.Is(err, io.EOF) {
				return 0
			}
			return n
		}
	}
}

// check looks once, and says whether it did something that should show soon.
func (g *fdGuard) check() (acted bool) {
	n := g.count()
	switch {
	case n.Process > n.Limit:
		g.calmSince = time.Time{}
		return g.act(n)
	case n.Process > n.Warn:
		if !g.warned {
			g.warned = true
			g.log.Warn("many file descriptors are open (FD_Warn)", "process", n.Process, "connections", n.Connections, "log_files", n.Files, "warn", n.Warn, "limit", n.Limit)
		}
	case g.warned:
		g.warned, g.said = false, ""
		g.log.Info("the number of open file descriptors is normal again", "process", n.Process)
	}
	g.unpark(n)
	return false
}

// act gives up descriptors. Each call goes one step further, since the next
// one shows whether this one was enough.
func (g *fdGuard) act(n FDs) bool {
	g.warned = true
	say := func(action, text string, args ...any) {
		g.col.metrics.guardActions.WithLabelValues(action).Inc()
		level := slog.LevelError
		if action == g.said { // idle connections come again and again
			level = slog.LevelDebug
		}
		g.said = action
		g.log.Log(context.Background(), level, "too many file descriptors are open (FD_Limit): "+text, append(args, "process", n.Process, "connections", n.Connections, "log_files", n.Files, "limit", n.Limit)...)
	}
	if closed := g.col.api.closeIdle(); closed > 0 {
		say("close_idle", "idle connections were closed", "closed", closed)
		return true
	}
	if quiet := g.park(n.Process - n.Warn); quiet > 0 {
		say("park", "the quietest containers are polled from now on", "containers", quiet)
		return true
	}
	if time.Since(g.recycledAt) < recycleEvery || n.Connections+n.Files == 0 {
		return false
	}
	g.recycledAt = time.Now()
	all := g.col.running()
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
		gone := !g.col.isRunning(s.id)
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
func (g *fdGuard) unpark(n FDs) {
	now := time.Now()
	room := n.Warn - n.Process
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
	back := g.parked[:min(room/2+1, len(g.parked))]
	for _, s := range back {
		s.parked.Store(false)
		s.cut(errMoved)
	}
	g.parked = slices.Clone(g.parked[len(back):])
	g.log.Info("containers that were polled for want of file descriptors are read as before", "containers", len(back), "still_polled", len(g.parked))
}
