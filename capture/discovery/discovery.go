package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// TaskKind is the kind of a discovery's task, for metrics.
const TaskKind = "discovery"

// Discovery keeps the streams in step with the Engine's containers.
//
// It subscribes first and lists then, so that nothing falls between the two, and
// lists again now and then, because events get lost under load and a restarted Engine
// with live-restore sends none.
type Discovery struct {
	Task *supervise.Task // that discovers

	opts    Options
	engine  Engine
	streams Streams
	store   *checkpoint.Store
	failing *Failing
	memory  *memory
	asking  inquiries
	log     *slog.Logger
	said    string // what was last said of the Engine

	selectors     sync.Once // it was said which match nothing
	refusedEvents sync.Once // it was said
}

// Options are what a Discovery is made with.
type Options struct {
	Engine  Engine
	State   *engine.State // set: whether the Engine answers
	Streams Streams
	Choice  Choice
	Store   *checkpoint.Store
	Failing *Failing

	Host, Reader, DB  string // the options Docker_Host, Reader and DB
	Heartbeat, Resync time.Duration

	Connected func(engine.Info) // the Engine was found
	Listed    func()            // its containers were, and have streams
	Readers   func() []any      // how many are read by what, as a log has it
	Counts    Counts
}

// Counts are what a Discovery counts.
type Counts struct {
	Events      *prometheus.CounterVec // by action
	Errors      *prometheus.CounterVec // by what was asked for
	ResyncFinds prometheus.Counter
	Panics      prometheus.Counter
}

// New makes one.
func New(o Options, log *slog.Logger) *Discovery {
	d := &Discovery{
		opts: o, engine: o.Engine, streams: o.Streams, store: o.Store, failing: o.Failing, memory: newMemory(o.Failing), log: log,
	}
	d.asking = inquiries{do: d.refresh, log: log, panics: o.Counts.Panics, byID: make(map[string]*inquiry)}
	d.Task = supervise.NewTask(TaskKind, log, d.run)
	return d
}

// steady is how long a session must have lasted for its end to be nothing that is
// said.
const steady = 10 * time.Second

// lookBack is how far before the present the event stream begins, so that
// what happens while it is being opened is not missed.
const lookBack = 5 * time.Second

// secondLook is when the list is compared again after a connect: the Engine
// answers a subscription a moment before it exists, and an Engine that was
// just started has no past events to give.
const secondLook = time.Second

// run discovers until ctx is done.
func (d *Discovery) run(ctx context.Context) error {
	defer d.opts.State.Set(false)
	retry := supervise.NewRetry(200*time.Millisecond, 10*time.Second)
	for ctx.Err() == nil {
		began := time.Now()
		err := d.session(ctx)
		var p supervise.PanicError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &p):
			return p
		case time.Since(began) > steady && errors.Is(err, errEventsEnded):
			// A proxy cuts what idles. If that is not all, the next attempt fails.
			retry.Reset()
		default:
			d.opts.State.Set(false)
			d.opts.Counts.Errors.WithLabelValues("session").Inc()
			if errors.Is(err, engine.ErrRefused) {
				d.say(slog.LevelWarn, "the Engine refuses what is needed, it is tried again until it does not", "docker_host", d.opts.Host, "error", err)
				break
			}
			d.say(slog.LevelWarn, "the Engine does not answer, it is tried again until it does", "docker_host", d.opts.Host, "error", err)
		}
		d.Task.Beat()
		pause := retry.NextBackOff()
		d.opts.State.Failed(err, time.Now().Add(pause))
		supervise.Sleep(ctx, pause)
	}
	return nil
}

// errMute ends a session with an Engine that has stopped answering.
var errMute = errors.New("no answer to the heartbeat")

// errEventsEnded ends a session whose events have.
var errEventsEnded = errors.New("the events ended")

// say logs a change of the Engine's state once, and says whether it is one.
func (d *Discovery) say(level slog.Level, text string, args ...any) (changed bool) {
	if changed = d.said != text; changed {
		d.said = text
		d.log.Log(context.Background(), level, text, args...)
	}
	return changed
}

// captured is how many containers have a stream and are not gone.
func captured(streams Streams) (n int) {
	for _, id := range streams.IDs() {
		if _, state := streams.Stream(id); state.captured() {
			n++
		}
	}
	return n
}

// session works with one connection to the Engine until it fails.
func (d *Discovery) session(ctx context.Context) (err error) {
	info, err := d.engine.Connect(ctx)
	if err != nil {
		return err
	}
	d.Task.Beat()
	d.store.NoteClock(info.Clock)
	onOurClock := engine.IsLocal(d.opts.Host)
	d.opts.Connected(info)

	ctx, cancel := context.WithCancelCause(ctx)
	news := newNewsbox()
	var wg sync.WaitGroup
	watch := d.engine.Watch(ctx, time.Now().Add(info.Clock-lookBack))
	wg.Go(func() {
		err := supervise.Catch(func() error {
			return watch(func(a engine.Event) {
				d.opts.Counts.Events.WithLabelValues(a.Name).Inc()
				news.put(a)
			})
		})
		if errors.Is(err, engine.ErrRefused) {
			d.refusedEvents.Do(func() {
				d.log.Warn("the Engine's events are refused, containers are found by Resync_Interval alone: those that live for less may be missed", "path", "/events", "error", err)
			})
			return
		}
		cancel(fmt.Errorf("%w: %w", errEventsEnded, err))
	})
	wg.Go(func() { cancel(supervise.Catch(func() error { return d.probe(ctx) })) })
	defer wg.Wait()
	defer d.asking.wait()
	defer func() {
		err = engine.Cause(ctx, err)
		cancel(nil)
	}()

	first := d.list(ctx)
	if first.err != nil {
		return first.err
	}
	d.Task.Beat()
	d.compare(ctx, first, true)
	d.asking.settle(ctx)
	d.opts.State.Set(true)
	d.opts.Listed()
	found := d.say(slog.LevelInfo, "connected to the Engine", "engine", info.Name, "version", info.Version, "api", info.API, "docker_host", d.opts.Host,
		"containers", len(first.all), "captured", captured(d.streams), "reader", d.opts.Reader, "db", cmp.Or(d.opts.DB, "none"))

	lists, listing := make(chan listing, 1), false
	tick := time.NewTimer(min(secondLook, d.opts.Resync))
	defer tick.Stop()
	beat := time.NewTicker(d.opts.Heartbeat)
	defer beat.Stop()
	for {
		d.Task.Beat()
		select {
		case <-beat.C:
		case <-news.ready:
			actions, all := news.take()
			for _, a := range actions {
				d.act(ctx, a)
			}
			if !all {
				tick.Reset(0)
			}
		case <-tick.C:
			if onOurClock {
				d.store.NoteClock(0)
			}
			if listing {
				tick.Reset(secondLook) // what comes is too old
				continue
			}
			listing = true
			wg.Go(func() { lists <- d.list(ctx) })
		case l := <-lists:
			listing = false
			if l.err != nil {
				d.opts.Counts.Errors.WithLabelValues("list").Inc()
				d.failing.lists.Report(d.log, l.err)
				tick.Reset(min(listAgain, d.opts.Resync))
				continue
			}
			d.failing.lists.Over(d.log)
			d.compare(ctx, l, d.opts.Resync > time.Hour/2)
			if found { // by now they have their readers
				found = false
				d.log.Info("containers are captured", d.opts.Readers()...)
			}
			tick.Reset(d.opts.Resync)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// probe asks again and again whether the Engine answers, until it does not: the
// event stream of one that hangs looks like that of one without news.
func (d *Discovery) probe(ctx context.Context) error {
	for supervise.Sleep(ctx, d.opts.Heartbeat) {
		if err := d.engine.Probe(ctx); err != nil {
			return fmt.Errorf("%w: %w", errMute, err)
		}
	}
	return context.Cause(ctx)
}

// listAgain is the pause before a list that failed is tried again.
const listAgain = 10 * time.Second
