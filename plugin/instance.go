package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"fluent-bit-docker-logs/capture"
)

const (
	maxCallback = 4 << 20 // bytes appended before other events of the thread get their turn
	retryAfter  = 200 * time.Millisecond
	ackEvery    = 100 * time.Millisecond // while records are on their way into chunks
	busyEvery   = 5 * time.Millisecond   // while many are: a kill repeats them
	manyRecords = 64
	drainEvery  = 10 * time.Millisecond // while there is no room: throughput hangs on it
	stepEvery   = 2 * time.Millisecond  // the same where one append goes at a time
	idleEvery   = time.Second
	// publishEvery is a little less, so that each idle event is one.
	publishEvery = 900 * time.Millisecond
)

// host is what an instance needs of Fluent Bit. Its methods are called on the
// instance's thread only.
type host interface {
	Append(b *capture.Batch) bool // false: not now
	Counters() counters           // of this instance
	EngineWaits() bool            // its thread waits for events
	StopsWithTasks() bool         // an orderly stop throws away what is in memory only, and our chunks may be
	Print(level int, line string)
	Watch(fd int) bool // have goCollect called whenever fd is readable
	Unwatch()
	KeepSignals()
	Publish(totals func() capture.Totals) // in Fluent Bit's own metrics
}

// source is what an instance needs of a *capture.Collector.
type source interface {
	Run(ctx context.Context) error
	CameBy()
	Next() *capture.Batch
	Appended()
	Ack(total uint64)
	Refused() (records uint64)
	Totals() capture.Totals
	Close() error
	Abandon()
}

// instance is one [INPUT] section: it carries the batches of its Collector to
// Fluent Bit and Fluent Bit's word that they are safe back. Except for wake,
// it is used on its own thread only.
type instance struct {
	host  host
	lines *logQueue
	log   *slog.Logger
	src   source
	bell  *doorbell
	hide  func() // from those who ask for metrics
	timer *time.Timer
	acks  acker

	run running // the Collector

	drops bool // as of late, Fluent Bit may throw chunks away when it stops

	retryAt   time.Time // no append before, after one was refused
	ackedAt   time.Time
	published time.Time
}

func newInstance(h host, name string, level int) *instance {
	in := &instance{host: h, bell: newDoorbell(), hide: func() {}}
	in.lines = &logQueue{print: h.Print, wake: in.wake}
	in.log = newLogger(in.lines, name, level)
	in.timer = time.AfterFunc(idleEvery, in.wake)
	in.timer.Stop()
	return in
}

// capture gives the instance its Collector, which it owns from then on.
func (in *instance) capture(src source) {
	in.src = src
	in.acks = newAcker(in.host.Counters(), in.log)
}

// watch opens the way to collect. The first event comes when Fluent Bit has
// started its event loop: that is when the Collector is started.
func (in *instance) watch() error {
	if err := in.bell.open(); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if !in.host.Watch(in.bell.fd) {
		return errors.New("Fluent Bit refused a collector")
	}
	in.wake()
	return nil
}

// wake has collect called soon. From any goroutine.
func (in *instance) wake() { in.bell.ring() }

// collect is what the bell rings for: it appends what is sealed.
func (in *instance) collect() int {
	if in == nil {
		return 0
	}
	in.bell.silence()
	defer in.lines.flush()
	defer in.rearm()
	in.chores()
	for sent := 0; in.mayAppend(); {
		batch := in.src.Next()
		if batch == nil {
			break
		}
		if sent >= maxCallback {
			in.wake()
			break
		}
		if !in.host.Append(batch) {
			in.retryAt = time.Now().Add(retryAfter)
			break
		}
		sent += len(batch.Buf)
		in.appended(batch)
	}
	return 0
}

func (in *instance) mayAppend() bool {
	now := time.Now()
	return !in.acks.paused && !now.Before(in.retryAt) && in.acks.room(now)
}

func (in *instance) appended(batch *capture.Batch) {
	in.acks.add(batch.Records, len(batch.Buf), time.Now())
	in.src.Appended()
}

// chores are due on every event, whatever it was for.
func (in *instance) chores() {
	in.host.KeepSignals()
	in.run.begin(in.src, in.log)
	in.src.CameBy()
	now := time.Now()
	if now.Sub(in.ackedAt) >= in.ackInterval(now) && in.acks.underWay() > 0 {
		in.ack(now, in.host.EngineWaits)
	}
	if now.Sub(in.published) >= publishEvery {
		in.published = now
		in.host.Publish(in.src.Totals)
		in.drops = in.host.StopsWithTasks()
	}
}

// ack looks at what became of the appends. engineWaits is asked after the
// counters were read, which makes them final.
func (in *instance) ack(now time.Time, engineWaits func() bool) {
	in.ackedAt = now
	if in.acks.paused && in.drops {
		return // the pause may be that of a stop
	}
	s := sight{counters: in.host.Counters(), at: now}
	s.waits = engineWaits()
	before := in.acks.acked.records
	safe, refused := in.acks.look(&s)
	if safe > before {
		in.src.Ack(safe)
	}
	if refused {
		in.src.Refused()
	}
}

func (in *instance) ackInterval(now time.Time) time.Duration {
	switch n := in.acks.underWay(); {
	case in.acks.paused || n == 0 || in.acks.refusing:
		return ackEvery
	case !in.acks.room(now) && len(in.acks.marks) == 1 && !in.acks.doubt:
		return stepEvery
	case !in.acks.room(now):
		return drainEvery
	case n >= manyRecords:
		return busyEvery
	}
	return ackEvery
}

// rearm plans the next event that nothing else may cause.
func (in *instance) rearm() {
	next, now := idleEvery, time.Now()
	if in.acks.underWay() > 0 || in.acks.refusing || now.Before(in.retryAt) {
		next = in.ackInterval(now)
	}
	in.timer.Reset(next)
}

func (in *instance) pause() int {
	if in != nil {
		defer in.lines.flush()
		in.acks.pause(in.host.Counters())
		in.drops = in.host.StopsWithTasks()
		in.log.Debug("paused")
	}
	return 0
}

func (in *instance) resume() int {
	if in != nil {
		defer in.lines.flush()
		in.acks.resume(time.Now())
		in.log.Debug("resumed")
		in.wake()
	}
	return 0
}

// close releases everything. What Fluent Bit holds in chunks by now is
// committed; the rest is read again after the next start. It works on an
// instance in any state of its making. The engine's thread waits for ours.
func (in *instance) close() {
	defer in.lines.flush()
	defer in.unwatch()
	defer in.hide()
	in.timer.Stop()
	if in.src != nil && !in.run.end(in.log) {
		in.src.Abandon()
	} else if in.src != nil {
		if in.drops = in.host.StopsWithTasks(); !in.drops {
			in.ack(time.Now(), func() bool { return true })
		}
		if err := in.src.Close(); err != nil {
			in.log.Error("closing the capture", "error", err)
		}
	}
	in.log.Debug("closed", "acked", in.acks.acked.records, "appended", in.acks.last.records, "goroutines", runtime.NumGoroutine())
}

func (in *instance) unwatch() {
	if in.bell.isOpen() {
		in.host.Unwatch()
		in.bell.close()
	}
}
