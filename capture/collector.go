package capture

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector is the capture of one plugin instance. Run does the work; the
// thread that delivers calls Next, Appended and Ack, never two of them at
// the same time.
type Collector struct {
	cfg     *Config
	log     *slog.Logger
	api     *dockerAPI
	conn    *connState
	out     *outbox
	opens   semaphore
	metrics *metrics
	host    string    // this machine's name, in every record
	self    string    // id of the container we run in, "" if none
	began   time.Time // New, by our clock

	wg sync.WaitGroup // every goroutine but Run's own

	mu      sync.Mutex
	sup     supervisor // guarded by mu
	startAt int64      // guarded by mu: began by the Engine's clock, nanoseconds since 1970; 0 before it was asked
}

// maxOpens bounds how many logs are opened at the same time, so that a
// restart does not fall upon the Engine with all streams at once.
const maxOpens = 16

// New makes a Collector; nothing runs yet. notify is called, from any
// goroutine, when Next may have something after it had nothing; it must not
// block. Metrics are registered with reg. Close must be called in the end.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer, notify func()) (*Collector, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("asking for the host's name: %w", err)
	}
	api, err := newDockerAPI(&cfg)
	if err != nil {
		return nil, err
	}
	c := &Collector{
		cfg:   &cfg,
		log:   log,
		api:   api,
		conn:  newConnState(),
		out:   newOutbox(cfg.BatchSize, cfg.BufferLimit, notify),
		opens: make(semaphore, maxOpens),
		host:  host,
		began: time.Now(),
		sup:   supervisor{tasks: make(map[string]*task)},
	}
	if cfg.ExcludeSelf {
		c.self = ownContainer()
	}
	if c.metrics, err = newMetrics(reg, c); err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	return c, nil
}

// Run captures until ctx is done and returns when every goroutine is back.
func (c *Collector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.wg.Wait()
	defer cancel()
	d := &discovery{col: c, log: c.log, looked: make(map[string]bool)}
	d.start = func(ctr *container, pos func() position) { c.start(ctx, ctr, pos) }
	return d.run(ctx)
}

// Next returns the oldest batch that was not reported with Appended yet, the
// same one until it is; nil if there is none. It never blocks. The batch
// belongs to the Collector and is valid until Appended.
func (c *Collector) Next() *Batch { return c.out.next() }

// Appended says that Fluent Bit took the batch that Next returned last.
func (c *Collector) Appended() { c.out.appendedFirst() }

// Ack says how many records in all Fluent Bit holds for good. Positions up to
// the last whole batch within that number may be committed.
func (c *Collector) Ack(total uint64) { c.out.ack(total) }

// Outstanding is the number of records appended and not yet acknowledged.
func (c *Collector) Outstanding() uint64 { return c.out.outstanding() }

// Close frees what New took. Run must have returned.
func (c *Collector) Close() error { return c.api.close() }

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
