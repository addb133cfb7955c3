package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/inotify"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// Batch is what Fluent Bit appends in one call.
type Batch = outbox.Batch

// Collector is the capture of one plugin instance. Run does the work; the
// thread that delivers calls Next, Appended and Ack, never two of them at
// the same time.
type Collector struct {
	cfg     *Config
	log     *slog.Logger
	api     *engine.Client
	conn    *engine.State
	out     *outbox.Outbox
	lines   *lineShared
	opens   semaphore
	looks   semaphore    // streams that inspect their containers
	buffers *readBuffers // of log files
	metrics *metrics
	host    string       // this machine's name, in every record
	own     ownContainer // that we run in, if Exclude_Self
	saidOwn atomic.Bool
	began   time.Time // New, by our clock
	last    say.LastError
	engine  atomic.Pointer[engine.Info] // as of the last connect
	ahead   atomic.Int64                // by how many nanoseconds the Engine's clock is ahead of ours

	watch       atomic.Pointer[inotify.Watcher] // of log files; nil outside of Run and where there is no inotify
	saidNoWatch sync.Once
	logDir      atomic.Pointer[string] // where the Engine keeps its log files, once one was opened

	db        *checkpoint.File // nil without DB
	saveNow   chan struct{}    // capacity 1
	committed chan struct{}    // capacity 1: positions were committed
	savedAt   atomic.Int64     // when the checkpoint was last up to date, nanoseconds since 1970
	disks     *disks

	sup     *supervise.Supervisor
	slots   *slots
	pollers *pollers
	turns   *rotationLog
	guard   *fdGuard
	files   atomic.Int64 // log files that are open

	lists      say.Trouble  // with the periodic list
	unanswered unanswered   // containers that could not be inspected
	missed     say.LastIDs  // containers that were missed: more than one event tells of each
	met        say.LastIDs  // labels that gave way to another one with the same record key
	cameAt     atomic.Int64 // when Fluent Bit's thread last came by, on the clock of sinceStart; 0 before it did

	mu      sync.Mutex
	streams streamSet                   // guarded by mu
	startAt int64                       // guarded by mu: when the capture first began, by the Engine's clock, nanoseconds since 1970; 0 before it was asked
	nowAt   int64                       // guarded by mu: as startAt, of this run of the agent
	loaded  map[string]checkpoint.Entry // guarded by mu: positions from the checkpoint whose container was not met yet
	others  map[string]checkpoint.Other // guarded by mu: containers that are not captured, by id
	listed  bool                        // guarded by mu: a list was taken in, so that a container that is in neither is new
	unsaved bool                        // guarded by mu: a save failed, or the set of containers changed
}

// maxLooks bounds how many streams inspect their containers at the same time: at
// a reconnect all do. It is more than maxOpens, because each that gets no answer
// holds up one.
const maxLooks = 64

// New makes a Collector; nothing runs yet. notify is called, from any
// goroutine, when Next may have something after it had nothing; it must not
// block. Metrics are registered with reg. Close must be called in the end.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer, notify func()) (*Collector, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	api, err := engine.New(engine.Options{Host: cfg.DockerHost, TLS: cfg.TLS, Dial: cfg.dial, Attrs: cfg.LogAttrs, Timeout: cfg.callTimeout})
	if err != nil {
		return nil, err
	}
	c := &Collector{
		cfg:       &cfg,
		api:       api,
		conn:      engine.NewState(),
		out:       outbox.New(cfg.BatchSize, cfg.BufferLimit, notify),
		opens:     make(semaphore, engine.MaxOpens),
		looks:     make(semaphore, maxLooks),
		buffers:   newReadBuffers(),
		host:      host,
		disks:     newDisks(cfg.DB),
		began:     time.Now(),
		saveNow:   make(chan struct{}, 1),
		committed: make(chan struct{}, 1),
		slots:     newSlots(cfg.MaxStreams),
		streams:   streamSet{byID: make(map[string]*streamTask)},
		loaded:    make(map[string]checkpoint.Entry),
		others:    make(map[string]checkpoint.Other),
		lists:     say.Trouble{What: "listing the containers"},
	}
	c.lines = newLineShared(c.out, cfg.MaxLineSize, [3]bool{decode.Stdout: cfg.Stdout, decode.Stderr: cfg.Stderr}, c.engineNow)
	c.pollers = newPollers(c.conn, engine.MaxOpens)
	c.log = c.last.Remember(log)
	if host, ok := strings.CutPrefix(cfg.DockerHost, "tcp://"); ok && !cfg.TLS.On && !onLoopback(host) {
		c.log.Warn("option Docker_Host: tcp without TLS is neither encrypted nor authenticated, see Docker_TLS_Verify", "value", cfg.DockerHost)
	}
	c.turns = newRotationLog(&cfg, c.log)
	c.savedAt.Store(c.began.UnixNano())
	if cfg.ExcludeSelf {
		c.own = findOwn()
	}
	c.guard = newFDGuard(c)
	if c.metrics, err = newMetrics(reg, c); err != nil {
		return nil, errors.Join(fmt.Errorf("registering metrics: %w", err), api.Close())
	}
	c.lines.metrics = &c.metrics.lineMetrics
	c.out.Latency = c.metrics.latency
	c.out.Ahead = &c.ahead
	c.sup = supervise.New(cfg.TaskTimeout, supervise.Counts{Panics: c.metrics.panics, Stalls: c.metrics.taskStalls, Restarts: c.metrics.taskRestarts})
	if err := c.openDB(); err != nil {
		return nil, errors.Join(err, api.Close())
	}
	return c, nil
}

// openDB takes over the positions of the checkpoint, if there is one.
func (c *Collector) openDB() error {
	if c.cfg.DB == "" {
		c.log.Info("option DB is not set: positions are kept in memory, after a restart of Fluent Bit Start_From applies")
		return nil
	}
	db, cp, err := checkpoint.Open(c.cfg.DB, c.log)
	if err != nil {
		return err
	}
	c.db = db
	c.unsaved = db.IsAhead()
	c.out.Journaled = c.committed
	if cp != nil {
		c.startAt = cp.FirstStart.UnixNano()
		maps.Copy(c.loaded, cp.Containers)
		c.listed = cp.Others != nil
		for id, o := range cp.Others {
			o.Listed = c.began
			c.others[id] = o
		}
		c.log.Info("positions were read from DB", "file", c.cfg.DB, "containers", len(cp.Containers), "saved", cp.Saved)
	}
	return nil
}

// Run captures until ctx is done and returns when every task is back; those
// that do not return are left behind with an error in the log.
func (c *Collector) Run(ctx context.Context) error {
	defer c.watchFiles()()
	defer c.pollers.wait()
	d := newDiscovery(c)
	d.start = func(ctr *container.Container) { c.start(ctx, ctr, true) }
	d.begin = func(ctr *container.Container) { c.start(ctx, ctr, false) }
	d.look = func(id string) bool { return c.look(ctx, id) }
	c.sup.Start(ctx, d.task)
	if c.db != nil {
		save := supervise.NewTask(taskCheckpoint, c.log, nil)
		save.Do = func(ctx context.Context) error { return c.saveLoop(ctx, save) }
		c.sup.Start(ctx, save)
	}
	c.sup.Start(ctx, c.guard.task)
	c.sup.Watch(ctx)
	return nil
}

// watchFiles begins to watch log files until stop is called.
func (c *Collector) watchFiles() (stop func()) {
	if c.cfg.Reader == readerFollow || c.cfg.Reader == readerPoll || c.cfg.dial != nil {
		return func() {}
	}
	w, err := inotify.New()
	if err != nil {
		c.sayUnwatched(err)
		return func() {}
	}
	c.watch.Store(w)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run()
	}()
	return func() {
		w.Close()
		<-done
	}
}

func (c *Collector) filesWatch() *inotify.Watcher { return c.watch.Load() }

// sayUnwatched says that some log files are not watched.
func (c *Collector) sayUnwatched(err error) {
	if errors.Is(err, inotify.ErrClosed) {
		return
	}
	c.saidNoWatch.Do(func() {
		c.log.Warn("log files cannot be watched, they are looked at once a second (fs.inotify.max_user_instances, max_user_watches)", "error", err)
	})
}

// CameBy says that the thread that delivers can still come. It calls this every
// few seconds, also while it may take nothing.
func (c *Collector) CameBy() { c.cameAt.Store(int64(supervise.SinceStart())) }

// mayStayAway is how long the thread that delivers may leave records waiting
// without having come by. It comes once a second where nothing blocks it.
const mayStayAway = time.Minute

// away is how long the thread that delivers has not come by while there is
// something to take, 0 if that is no longer than it may be. It waits for no lock.
func (c *Collector) away() time.Duration {
	at := c.cameAt.Load()
	if at == 0 || !c.out.Anything() {
		return 0
	}
	if away := supervise.SinceStart() - time.Duration(at); away > mayStayAway {
		return away
	}
	return 0
}

// Next returns the oldest batch that was not reported with Appended yet, the
// same one until it is; nil if there is none. It never blocks. The batch
// belongs to the Collector and is valid until it is acknowledged.
func (c *Collector) Next() *outbox.Batch { return c.out.Next() }

// Appended says that Fluent Bit took the batch that Next returned last.
func (c *Collector) Appended() { c.out.Appended() }

// Ack says how many records in all Fluent Bit holds for good, of those that
// were appended and not refused. Positions up to the last whole batch within
// that number may be committed.
func (c *Collector) Ack(total uint64) { c.out.Ack(total) }

// Refused says that Fluent Bit holds nothing of what was appended and not
// acknowledged. It returns how many records that are: Next has them again, in
// the order they had. The Collector is not ready until the next Ack.
func (c *Collector) Refused() (records uint64) { return c.out.Refuse() }

// Outstanding is the number of records appended and not yet acknowledged.
func (c *Collector) Outstanding() uint64 { return c.out.Outstanding() }

// Close saves the positions that were acknowledged and frees what New took.
// Run must have returned.
func (c *Collector) Close() error {
	c.out.Close()
	c.sayUntaken()
	c.lines.close()
	c.guard.fds.close()
	var err error
	if c.db != nil {
		c.mu.Lock()
		c.unsaved = c.unsaved || c.listed // until when some were not wanted
		c.mu.Unlock()
		if err = supervise.Catch(c.save); err != nil {
			err = fmt.Errorf("option DB: saving the positions in %s: %w", c.cfg.DB, err)
		} else {
			err = c.db.Finish()
		}
		err = errors.Join(err, c.db.Close())
	}
	return errors.Join(err, c.api.Close())
}

// sayUntaken says which containers that were removed had lines that Fluent Bit does
// not hold: nobody can read them again.
func (c *Collector) sayUntaken() {
	for _, from := range c.out.Untaken() {
		if s := from.(*stream); s.removed.Load() {
			c.metrics.gaps.Inc()
			s.log.Error("gap: Fluent Bit ended before it held the last lines of this container, which was removed: they are lost")
		}
	}
}

// Abandon takes the place of Close when Run does not return in time: another
// Collector may use DB from now on, and this one does not write to it any more.
func (c *Collector) Abandon() {
	if c.db != nil {
		c.db.Abandon()
	}
}

// semaphore bounds how many hold it at the same time.
type semaphore chan struct{}

func (s semaphore) acquire(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
