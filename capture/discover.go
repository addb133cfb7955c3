package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/supervise"
)

// discovery turns the Engine's list and events into streams: it subscribes
// first and lists then, so that nothing falls between the two, and lists again
// now and then, because events get lost under load and a restarted Engine
// with live-restore sends none.
//
// An event only says where to look: what is done is decided by an inspect, so
// that lost, doubled and late events do no harm. No answer is waited for while
// there is something else to do: one that does not come concerns its container
// alone (inquire.go), and while a list is under way events are acted on.
type discovery struct {
	col   *Collector
	log   *slog.Logger
	task  *supervise.Task
	start func(c *container.Container) // Collector.start, for the time of Run
	begin func(c *container.Container) // the same where the list is all that is known
	look  func(id string) bool         // Collector.look, for the time of Run
	said  string                       // what was last said of the Engine

	selectors     sync.Once // it was said which match nothing
	refusedEvents sync.Once // it was said

	mu sync.Mutex
	// created are containers that did not run yet when they were inspected. With
	// what is known of them their log is opened at their start without another
	// question: those that live for milliseconds are gone after it; guarded by mu.
	created  map[string]*container.Container
	unwanted map[string]*container.Container // by an inspect; guarded by mu
	mute     map[string]mute                 // containers that could not be inspected; guarded by mu
	asking   inquiries                       // guarded by mu
}

// mute is a container that could not be inspected.
type mute struct {
	said time.Time            // when that was
	owed *container.Container // it is wanted, runs or ran, and has no stream: nil if it is not so
}

func newDiscovery(c *Collector) *discovery {
	d := &discovery{col: c, log: c.log, created: make(map[string]*container.Container), unwanted: make(map[string]*container.Container), mute: make(map[string]mute)}
	d.asking.byID = make(map[string]*inquiry)
	d.task = supervise.NewTask(taskDiscovery, c.log, d.run)
	return d
}

// lookBack is how far before the present the event stream begins, so that
// what happens while it is being opened is not missed.
const lookBack = 5 * time.Second

// secondLook is when the list is compared again after a connect: the Engine
// answers a subscription a moment before it exists, and an Engine that was
// just started has no past events to give.
const secondLook = time.Second

// run discovers until ctx is done.
func (d *discovery) run(ctx context.Context) error {
	defer d.col.conn.Set(false)
	retry := &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: 10 * time.Second}
	retry.Reset()
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
			d.col.conn.Set(false)
			d.col.metrics.discoveryErrors.WithLabelValues("session").Inc()
			if errors.Is(err, engine.ErrRefused) {
				d.say(slog.LevelWarn, "the Engine refuses what is needed, it is tried again until it does not", "docker_host", d.col.cfg.DockerHost, "error", err)
				break
			}
			d.say(slog.LevelWarn, "the Engine does not answer, it is tried again until it does", "docker_host", d.col.cfg.DockerHost, "error", err)
		}
		d.task.Beat()
		pause := retry.NextBackOff()
		d.col.conn.Failed(err, time.Now().Add(pause))
		supervise.Sleep(ctx, pause)
	}
	return nil
}

// errMute ends a session with an Engine that has stopped answering.
var errMute = errors.New("no answer to the heartbeat")

// errEventsEnded ends a session whose events have.
var errEventsEnded = errors.New("the events ended")

// say logs a change of the Engine's state once, and says whether it is one.
func (d *discovery) say(level slog.Level, text string, args ...any) (changed bool) {
	if changed = d.said != text; changed {
		d.said = text
		d.log.Log(context.Background(), level, text, args...)
	}
	return changed
}

// sayReaders says how the logs are read.
func (d *discovery) sayReaders() {
	n := d.col.byReader()
	d.log.Info("containers are captured", "by_file", n[readerFile], "by_follow", n[readerFollow], "by_poll", n[readerPoll], "not_yet", n[readerNone])
}

// session works with one connection to the Engine until it fails.
func (d *discovery) session(ctx context.Context) (err error) {
	info, err := d.col.api.Connect(ctx)
	if err != nil {
		return err
	}
	d.task.Beat()
	d.col.noteClock(info.Clock)
	onOurClock := strings.HasPrefix(d.col.cfg.DockerHost, "unix://")
	d.col.engine.Store(&info)

	ctx, cancel := context.WithCancelCause(ctx)
	news := newNewsbox()
	var wg sync.WaitGroup
	watch := d.col.api.Watch(ctx, time.Now().Add(info.Clock-lookBack))
	wg.Go(func() {
		err := supervise.Catch(func() error {
			return watch(func(a engine.Event) {
				d.col.metrics.events.WithLabelValues(a.Name).Inc()
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
	defer d.asking.wait(&d.mu)
	defer func() {
		err = engine.Cause(ctx, err)
		cancel(nil)
	}()

	first := d.list(ctx)
	if first.err != nil {
		return first.err
	}
	d.task.Beat()
	d.compare(ctx, first, true)
	d.settle(ctx)
	d.col.conn.Set(true)
	select {
	case d.col.saveNow <- struct{}{}:
	default:
	}
	db := d.col.cfg.DB
	if db == "" {
		db = "none"
	}
	found := d.say(slog.LevelInfo, "connected to the Engine", "engine", info.Name, "version", info.Version, "api", info.API, "docker_host", d.col.cfg.DockerHost,
		"containers", len(first.all), "captured", d.col.presentCount(), "reader", d.col.cfg.Reader, "db", db)

	lists, listing := make(chan listing, 1), false
	tick := time.NewTimer(min(secondLook, d.col.cfg.ResyncInterval))
	defer tick.Stop()
	beat := time.NewTicker(d.col.cfg.HeartbeatInterval)
	defer beat.Stop()
	for {
		d.task.Beat()
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
				d.col.noteClock(0)
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
				d.col.metrics.discoveryErrors.WithLabelValues("list").Inc()
				d.col.lists.Report(d.log, l.err)
				tick.Reset(min(listAgain, d.col.cfg.ResyncInterval))
				continue
			}
			d.col.lists.Over(d.log)
			d.compare(ctx, l, d.col.cfg.ResyncInterval > time.Hour/2)
			if found { // by now they have their readers
				found = false
				d.sayReaders()
			}
			tick.Reset(d.col.cfg.ResyncInterval)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// probe asks again and again whether the Engine answers, until it does not: the
// event stream of one that hangs looks like that of one without news.
func (d *discovery) probe(ctx context.Context) error {
	for supervise.Sleep(ctx, d.col.cfg.HeartbeatInterval) {
		if err := d.col.api.Probe(ctx); err != nil {
			return fmt.Errorf("%w: %w", errMute, err)
		}
	}
	return context.Cause(ctx)
}

// listAgain is the pause before a list that failed is tried again.
const listAgain = 10 * time.Second
