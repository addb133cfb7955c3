package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// discovery turns the Engine's list and events into streams: it subscribes
// first and lists then, so that nothing falls between the two, and lists again
// now and then, because events get lost under load and a restarted Engine
// with live-restore sends none.
//
// An event only says where to look: what is done is decided by an inspect, so
// that lost, doubled and late events do no harm.
type discovery struct {
	col   *Collector
	log   *slog.Logger
	task  *task
	start func(c *container)   // Collector.start, for the time of Run
	look  func(id string) bool // Collector.look, for the time of Run
	// created are containers that did not run yet when they were inspected. With
	// what is known of them their log is opened at their start without another
	// question: those that live for milliseconds are gone after it.
	created map[string]*container
	said    string // what was last said of the Engine

	selectors sync.Once // it was said which match nothing
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
	defer d.col.conn.set(false)
	retry := &backoff.ExponentialBackOff{InitialInterval: 200 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.3, MaxInterval: 10 * time.Second}
	retry.Reset()
	for ctx.Err() == nil {
		began := time.Now()
		err := d.session(ctx)
		var p panicError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &p):
			return p
		case time.Since(began) > steady && !errors.Is(err, errMute):
			retry.Reset()
		default:
			d.col.conn.set(false)
			d.say(slog.LevelWarn, "the Engine does not answer, it is tried again until it does", "docker_host", d.col.cfg.DockerHost, "error", err)
		}
		d.task.beat()
		sleep(ctx, retry.NextBackOff())
	}
	return nil
}

// errMute ends a session with an Engine that has stopped answering.
var errMute = errors.New("no answer to the heartbeat")

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
	info, err := d.col.api.connect(ctx)
	if err != nil {
		return err
	}
	d.col.noteClock(info.Clock)
	onOurClock := strings.HasPrefix(d.col.cfg.DockerHost, "unix://")
	d.col.engine.Store(&info)

	ctx, cancel := context.WithCancelCause(ctx)
	news := newNewsbox()
	var wg sync.WaitGroup
	watch := d.col.api.watch(ctx, time.Now().Add(info.Clock-lookBack))
	wg.Go(func() {
		cancel(guard(func() error {
			return watch(func(a action) {
				d.col.metrics.events.WithLabelValues(a.name).Inc()
				news.put(a)
			})
		}))
	})
	wg.Go(func() { cancel(guard(func() error { return d.probe(ctx) })) })
	defer wg.Wait()
	defer func() {
		err = cause(ctx, err)
		cancel(nil)
	}()

	n, err := d.resync(ctx, true)
	if err != nil {
		return err
	}
	d.col.conn.set(true)
	select {
	case d.col.saveNow <- struct{}{}:
	default:
	}
	db := d.col.cfg.DB
	if db == "" {
		db = "none"
	}
	found := d.say(slog.LevelInfo, "connected to the Engine", "version", info.Version, "api", info.API, "docker_host", d.col.cfg.DockerHost,
		"containers", n.listed, "captured", n.captured, "reader", d.col.cfg.Reader, "db", db)

	tick := time.NewTimer(min(secondLook, d.col.cfg.ResyncInterval))
	defer tick.Stop()
	beat := time.NewTicker(d.col.cfg.HeartbeatInterval)
	defer beat.Stop()
	for {
		d.task.beat()
		select {
		case <-beat.C:
		case <-news.ready:
			actions, all := news.take()
			for _, a := range actions {
				if err := d.act(ctx, a); err != nil {
					return err
				}
			}
			if !all {
				tick.Reset(0)
			}
		case <-tick.C:
			if onOurClock {
				d.col.noteClock(0)
			}
			n, err := d.resync(ctx, d.col.cfg.ResyncInterval > time.Hour/2)
			if err != nil {
				return err
			}
			d.col.metrics.resyncFinds.Add(float64(n.found))
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
	for sleep(ctx, d.col.cfg.HeartbeatInterval) {
		if err := d.col.api.probe(ctx); err != nil {
			return fmt.Errorf("%w: %w", errMute, err)
		}
	}
	return context.Cause(ctx)
}

type resyncResult struct{ listed, captured, found int }

// resync compares the list of containers with the streams. A container that
// does not run may have run since it was looked at: those whose last run is
// long over are asked only with all.
func (d *discovery) resync(ctx context.Context, all bool) (n resyncResult, err error) {
	list, err := d.col.api.list(ctx)
	if err != nil {
		return n, err
	}
	d.selectors.Do(func() { d.col.sayUnmatched(list) })
	n.listed = len(list)
	listed := make(map[string]bool, len(list))
	for _, c := range list {
		listed[c.ID] = true
		if !d.col.cfg.wanted(c, d.col.self) {
			d.col.stop(c.ID)
			d.col.leaveOut(c.ID, other{})
			continue
		}
		known, running := d.col.present(c.ID)
		if c.Running && !running {
			n.found++
		}
		switch mayHaveRun := all || c.Running || !c.LongOver; {
		case known != nil && running:
			if !c.Running { // its end was not announced
				known.lookAgain()
			}
		case known != nil && mayHaveRun:
			d.look(c.ID)
		case known != nil, !mayHaveRun && d.col.leftOut(c.ID).Stopped:
			d.col.listAgain(c.ID)
		default:
			if err := d.refresh(ctx, c, c.Running); err != nil {
				return n, err
			}
			known, _ = d.col.present(c.ID)
		}
		if known != nil {
			n.captured++
		}
	}
	maps.DeleteFunc(d.created, func(id string, _ *container) bool { return !listed[id] })
	for _, id := range d.col.capturedIDs() {
		if !listed[id] {
			d.col.removed(id)
		}
	}
	d.col.dropUnmet(listed)
	d.col.allListed()
	return n, nil
}

// act does what an event asks for. The Engine is asked only where that is
// needed: an inspect of a container that is being removed may take long, and
// others are started meanwhile.
func (d *discovery) act(ctx context.Context, a action) error {
	id := a.ctr.ID
	switch a.name {
	case "start":
		if d.startCreated(id) || d.look(id) {
			return nil
		}
	case "kill":
		// A removal by force begins with it, and ends before the next poll.
		if s := d.col.captured(id); s != nil && s.notes.now() == readerPoll {
			s.lookAgain()
		}
		return nil
	case "die":
		if s, running := d.col.present(id); running {
			s.lookAgain()
			return nil
		}
		if d.look(id) {
			return nil
		}
	case "rename":
		if s := d.col.captured(id); s != nil && a.ctr.Name != "" {
			renamed := *s.container()
			renamed.Name = a.ctr.Name
			if !d.col.cfg.wanted(&renamed, d.col.self) {
				d.col.stop(id)
				return nil
			}
			s.describe(&renamed)
			if here, _ := d.col.present(id); here != nil {
				return nil
			}
		}
	case "destroy":
		delete(d.created, id)
		d.col.removed(id)
		return nil
	}
	return d.refresh(ctx, a.ctr, a.name == "start")
}

// refresh inspects a container and does what its state asks for.
//
//	state            known                         not known
//	runs             start its stream              start one
//	stopped          start its stream, which       read it if it ran since we began
//	                 reads what the log gained
//	removed          its stream ends itself        it is missed if it ran
//
// ran says that a container that is gone by now did run, so that its lines are
// lost if it is not known.
func (d *discovery) refresh(ctx context.Context, seen *container, ran bool) error {
	id := seen.ID
	c, err := d.col.api.inspect(ctx, id)
	switch {
	case errors.Is(err, errGone):
		if ran && d.col.captured(id) == nil && d.col.cfg.wanted(seen, d.col.self) {
			d.col.reportMissed(d.log.With("container", seen.Name, "id", shortID(id)), seen)
		}
		d.col.removed(id)
		return nil
	case errors.Is(err, errEngineDown), ctx.Err() != nil:
		return err
	case err != nil:
		// Only this container is affected; its stream, or the next resync,
		// tries again.
		d.log.Warn("a container could not be inspected, it is tried again", "id", shortID(id), "error", err)
		return nil
	}
	if !d.col.cfg.wanted(c, d.col.self) {
		d.col.stop(id)
		return nil
	}
	if s := d.col.captured(id); s != nil {
		s.describe(c)
		d.start(c)
		return nil
	}
	if !c.Running && !d.col.ranSince(c) {
		d.col.leaveOut(id, other{Stopped: true, Last: c.lastRun})
		if c.StartedAt == 0 {
			d.created[id] = c
		}
		return nil
	}
	delete(d.created, id)
	d.start(c)
	return nil
}

// startCreated starts the stream of a container whose first start was just
// announced, if it is known from its creation.
func (d *discovery) startCreated(id string) bool {
	c := d.created[id]
	if c == nil || !d.col.cfg.wanted(c, d.col.self) {
		return false
	}
	delete(d.created, id)
	c.Running, c.StartedAt = true, max(c.Created, time.Now().UnixNano())
	d.start(c)
	return true
}
