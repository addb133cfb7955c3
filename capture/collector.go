package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/serve"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
	"fluent-bit-docker-logs/capture/supervise"
)

// Batch is what Fluent Bit appends in one call.
type Batch = outbox.Batch

// Totals are the most important metrics, for Fluent Bit's own endpoint.
type Totals = status.Totals

// Collector is the capture of one plugin instance. Run does the work; the
// thread that delivers calls Next, Appended and Ack, never two of them at
// the same time.
type Collector struct {
	parts
	streams *stream.Set
	saver   *checkpoint.Saver // nil without DB
	disks   *disks
	guard   *fdguard.Guard
	failing *discovery.Failing // what the Engine is asked for in vain

	own    ownContainer // that we run in, if Exclude_Self
	began  time.Time    // New, by our clock
	last   say.LastError
	engine atomic.Pointer[engine.Info] // as of the last connect
	cameAt atomic.Int64                // when Fluent Bit's thread last came by, on the clock of SinceStart; 0 before it did
}

// parts are what is handed to those who need it.
type parts struct {
	cfg     *Config
	log     *slog.Logger
	metrics *metrics
	api     *engine.Client
	conn    *engine.State
	store   *checkpoint.Store // of containers without a stream
	out     *outbox.Outbox
	sup     *supervise.Supervisor
}

// New makes a Collector; nothing runs yet. notify is called, from any
// goroutine, when Next may have something after it had nothing; it must not
// block. Metrics are registered with reg. Close must be called in the end.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer, notify func()) (*Collector, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	client, err := engine.New(engine.Options{Host: cfg.DockerHost, TLS: cfg.TLS, Dial: cfg.dial, Attrs: cfg.LogAttrs, Timeout: cfg.callTimeout})
	if err != nil {
		return nil, err
	}
	c := &Collector{
		parts:   parts{cfg: &cfg, api: client, conn: engine.NewState(), out: outbox.New(cfg.BatchSize, cfg.BufferLimit, notify)},
		disks:   newDisks(cfg.DB),
		began:   time.Now(),
		failing: discovery.NewFailing(),
	}
	c.log = c.last.Remember(log)
	if host, ok := strings.CutPrefix(cfg.DockerHost, "tcp://"); ok && !cfg.TLS.On && !onLoopback(host) {
		c.log.Warn("option Docker_Host: tcp without TLS is neither encrypted nor authenticated, see Docker_TLS_Verify", "value", cfg.DockerHost)
	}
	c.store = checkpoint.NewStore(checkpoint.StoreOptions{Start: cfg.StartFrom, Began: c.began, Grace: stream.GoneGrace}, c.log)
	if cfg.ExcludeSelf {
		c.own = findOwn()
	}
	if c.metrics, err = newMetrics(reg, cfg.PerContainer, c.View); err != nil {
		return nil, errors.Join(fmt.Errorf("registering metrics: %w", err), client.Close())
	}
	c.sup = supervise.New(cfg.TaskTimeout, c.metrics.tasks)
	c.streams = stream.New(stream.Options{
		Engine: client, State: c.conn, Store: c.store, Out: c.out, Supervisor: c.sup, Metrics: &c.metrics.Metrics, Config: cfg.streams(host),
	}, c.log)
	c.guard = newGuard(c)
	c.out.Latency = c.metrics.latency
	c.out.Ahead = c.store.Ahead()
	if c.saver, err = openDB(c); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return c, nil
}

// Run captures until ctx is done and every task is back. Those that do not
// return are left behind with an error in the log.
func (c *Collector) Run(ctx context.Context) error {
	defer c.streams.Begin(c.cfg.watches())()
	c.sup.Start(ctx, newDiscovery(ctx, c).Task)
	if c.saver != nil {
		c.sup.Start(ctx, c.saver.Task)
	}
	c.sup.Start(ctx, c.guard.Task)
	c.sup.Watch(ctx)
	return nil
}

// saveSoon follows the first list of a connection: what the first start was like must
// outlive an agent that is killed a moment later.
func (c *Collector) saveSoon() {
	if c.saver != nil {
		c.saver.Soon()
	}
}

// CameBy says that the thread that delivers can still come. It calls this every
// few seconds, also while it may take nothing.
func (c *Collector) CameBy() { c.cameAt.Store(int64(supervise.SinceStart())) }

// mayStayAway is how long the thread that delivers may leave records waiting
// without having come by. It comes once a second where nothing blocks it.
const mayStayAway = time.Minute

// Away is for how long records wait for Fluent Bit in vain. The thread that
// delivers has not come by meanwhile; it is 0 if that is no longer than it may
// be. It waits for no lock.
func (c *Collector) Away() time.Duration {
	at := c.cameAt.Load()
	if at == 0 || !c.out.Anything() {
		return 0
	}
	if away := supervise.SinceStart() - time.Duration(at); away > mayStayAway {
		return away
	}
	return 0
}

// Show has metrics and health served at Metrics_Listen until hide is called.
// They are those of the instance of that name. hide returns when the address is
// free, unless others are shown there. While that cannot be, the capture does
// without.
func (c *Collector) Show(name string, metrics prometheus.Gatherer) (hide func()) {
	return serve.Show(c.cfg.MetricsListen, serve.Input{Name: name, Instance: c, Metrics: metrics, Containers: c.metrics.read.Containers, Log: c.log, Panics: c.metrics.Panics, Version: Version()})
}

// Next returns the oldest batch that was not reported with Appended. It is the
// same one until it is, and nil if there is none. It never blocks. The batch
// belongs to the Collector and is valid until it is acknowledged.
func (c *Collector) Next() *outbox.Batch { return c.out.Next() }

// Appended says that Fluent Bit took the batch that Next returned last.
func (c *Collector) Appended() { c.out.Appended() }

// Ack says how many records in all Fluent Bit holds for good. They are of those
// that were appended and not refused. Positions up to the last whole batch
// within that number may be committed.
func (c *Collector) Ack(total uint64) { c.out.Ack(total) }

// Refused says that Fluent Bit holds nothing of what was not acknowledged. It
// returns how many records of those that were appended that are: Next has them
// again, in the order they had. The Collector is not ready until the next Ack.
func (c *Collector) Refused() (records uint64) { return c.out.Refuse() }

// Close saves the positions that were acknowledged and frees what New took.
// Run must have returned.
func (c *Collector) Close() error {
	c.out.Close()
	c.streams.Close()
	c.guard.Close()
	var err error
	if c.saver != nil {
		c.store.CloseUp()
		err = c.saver.Close()
	}
	return errors.Join(err, c.api.Close())
}

// Abandon is Close where Run does not return in time. Another Collector may use
// DB from now on, and this one does not write to it any more.
func (c *Collector) Abandon() {
	if c.saver != nil {
		c.saver.Abandon()
	}
}

// newGuard makes the guard of file descriptors.
func newGuard(c *Collector) *fdguard.Guard {
	return fdguard.New(fdguard.Options{
		Warn: c.cfg.FDWarn, Limit: c.cfg.FDLimit, Every: c.cfg.HeartbeatInterval, Spare: engine.MaxOpens,
		Streams: c.streams.Guarded(), Client: c.api, Actions: c.metrics.guardActions, Files: c.streams.OpenFiles, Watches: c.streams.Watches,
	}, c.log)
}
