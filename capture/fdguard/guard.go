package fdguard

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// TaskKind is the kind of the guard's task, for metrics.
const TaskKind = "guard"

// Guard watches the open file descriptors of the process.
//
// Above the limit it gives up descriptors of the capture, the cheapest first:
// connections that idle, then the open logs of the quietest containers, which are
// polled from then on. It does so only where that brings the number below the
// limit: what others have open it can neither close nor make up for.
type Guard struct {
	Task *supervise.Task // that has it watch

	opts Options
	log  *slog.Logger
	fds  counter

	warned     bool
	fewSince   time.Time // when they were no more than Warn after it was warned; zero while they are
	said       string    // the last action
	calmSince  time.Time // when there were descriptors enough again; zero while there are not
	recycledAt time.Time
	trouble    say.Trouble
}

// Options are what a Guard is made with.
type Options struct {
	Warn, Limit int           // the options FD_Warn and FD_Limit; 0: by how many the process may have
	Every       time.Duration // Heartbeat_Interval
	Spare       int           // descriptors that the capture may have beside those of its streams

	Streams Streams
	Client  Client
	Files   func() int             // log files that are open
	Watches func() int             // inotify instances
	Actions *prometheus.CounterVec // what was done, by action
}

// Streams are the logs that the guard may have closed. They are called on the
// guard's task alone.
type Streams interface {
	// Park has up to n open logs polled, the quietest first. It says how many these
	// are.
	Park(n int) int
	// Parked is how many logs are polled for that.
	Parked() int
	// Unpark has up to n of them read as before. It says how many these are.
	Unpark(n int) int
	// Running is how many are read at the moment, in whatever way.
	Running() int
	// Recycle has all logs opened anew, and says how many these are.
	Recycle() int
}

// Client has connections to the Engine.
type Client interface {
	// Connections is how many there are.
	Connections() int
	// CloseIdle closes what idles, and says how many these are.
	CloseIdle() int
}

// Count is how many file descriptors are open.
type Count struct {
	Connections int `json:"connections"` // to the Engine
	Files       int `json:"files"`       // log files
	Watches     int `json:"watches"`     // inotify instances
	Process     int `json:"process"`     // all of the process, also those that are not the capture's
	Warn        int `json:"warn"`        // above which there is a warning
	Limit       int `json:"limit"`       // above which the guard acts

	Err error `json:"-"` // why Process is that of an earlier time
}

const (
	// The guard looks looks times per Heartbeat_Interval. What it did has one step
	// of such a time to show.
	looks = 6
	steps = 5
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

// New makes a guard. Close must be called in the end.
func New(o Options, log *slog.Logger) *Guard {
	g := &Guard{opts: o, log: log, trouble: say.Trouble{What: "counting the open file descriptors"}}
	g.Task = supervise.NewTask(TaskKind, log, g.run)
	return g
}

// Close frees what counting has kept open. The guard counts no more.
func (g *Guard) Close() { g.fds.close() }

// run guards until ctx is done.
func (g *Guard) run(ctx context.Context) error {
	for {
		g.Task.Beat()
		wait := g.opts.Every / looks
		if g.check() {
			wait /= steps
		}
		g.Task.Rest()
		if !supervise.Sleep(ctx, wait) {
			return nil
		}
	}
}

// Count counts the descriptors that are open.
func (g *Guard) Count() Count {
	n := Count{Connections: g.opts.Client.Connections(), Files: g.opts.Files(), Watches: g.opts.Watches()}
	n.Process, n.Err = g.fds.count()
	n.Warn, n.Limit = limits(g.opts.Warn, g.opts.Limit, processLimit())
	return n
}

// margin is how far below the limit there is room to open logs again.
func (n *Count) margin() int { return max((n.Limit-n.Warn)/4, n.Limit/20) }

// check looks once, and says whether it did something that should show soon.
func (g *Guard) check() (acted bool) {
	n := g.Count()
	if n.Err != nil {
		g.trouble.Report(g.log, n.Err)
		return false
	}
	g.trouble.Over(g.log)
	excess := n.Process - n.Limit
	if excess > 0 || g.opts.Streams.Parked() > 0 {
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
func (g *Guard) sayFew(n Count) {
	switch {
	case !g.warned:
	case n.Process > n.Warn:
		g.fewSince = time.Time{}
	case g.fewSince.IsZero():
		g.fewSince = time.Now()
	case time.Since(g.fewSince) >= calmBeats*g.opts.Every:
		g.warned, g.said, g.fewSince = false, "", time.Time{}
		g.log.Info("the number of open file descriptors is normal again", "process", n.Process)
	}
}

// act gives up descriptors. Each call goes one step further, since the next
// one shows whether this one was enough.
func (g *Guard) act(n Count, excess int) bool {
	say := func(action, text string, args ...any) {
		g.opts.Actions.WithLabelValues(action).Inc()
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
	if closed := g.opts.Client.CloseIdle(); closed > 0 {
		say("close_idle", "idle connections were closed", "closed", closed)
		return true
	}
	if quiet := g.opts.Streams.Park(excess); quiet > 0 {
		say("park", "the quietest containers are polled from now on", "containers", quiet)
		return true
	}
	if own <= perStream*g.opts.Streams.Running()+g.opts.Spare || time.Since(g.recycledAt) < recycleEvery {
		return false // each stream has what it needs
	}
	g.recycledAt = time.Now()
	say("recycle", "all logs are opened anew", "streams", g.opts.Streams.Recycle())
	return true
}

// unpark opens logs that were given up again, as many as there is room for.
func (g *Guard) unpark(room int) {
	now := time.Now()
	switch {
	case g.opts.Streams.Parked() == 0:
		return
	case room <= 0:
		g.calmSince = time.Time{}
		return
	case g.calmSince.IsZero():
		g.calmSince = now
		return
	case now.Sub(g.calmSince) < calmBeats*g.opts.Every:
		return
	}
	g.calmSince = now // the next ones when these have shown
	back := g.opts.Streams.Unpark(room/perStream + 1)
	g.log.Info("containers that were polled for want of file descriptors are read as before", "containers", back, "still_polled", g.opts.Streams.Parked())
}
