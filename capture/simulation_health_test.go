package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/reader/file"
	"fluent-bit-docker-logs/capture/status"
)

const (
	// lookEvery is how often the agent is looked at.
	lookEvery = 10 * time.Second
	// tellWithin is how soon what is wrong with the Engine must show in /readyz:
	// a heartbeat, and the time that an answer has.
	tellWithin = 3 * time.Minute
	// clearWithin is how soon it must not show any more: the longest pause before
	// something is tried again, and that try.
	clearWithin = 8 * time.Minute
	// lateWithin is how old a line may be that the agent has not delivered while
	// it says that all is well.
	lateWithin = 2 * time.Minute
	// mostRequests is how many log requests of a container may be open: what is
	// followed, its rotation, a comparison, a probe.
	mostRequests = 4
)

// mostAsked is how many log requests of a container may come within a second.
const mostAsked = 200

// asked counts a log request. One too many takes time: else there may be no end of
// them.
func (w *world) asked(q dockertest.LogQuery) {
	w.mu.Lock()
	if w.requests == nil {
		w.requests = map[string]*burst{}
	}
	n := w.requests[q.Container]
	if n == nil || time.Since(n.since) >= time.Second {
		n = &burst{since: time.Now()}
		w.requests[q.Container] = n
	}
	n.times++
	over := n.times > mostAsked
	w.mu.Unlock()
	if over {
		w.find("more than %d log requests of container %.6s within a second", mostAsked, q.Container)
		time.Sleep(time.Minute)
	}
}

// burst is how often a log was asked for since a time.
type burst struct {
	since time.Time
	times int
}

// watch looks at the agent all the time, until stop is called.
func (w *world) watch() (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.turn <- struct{}{}
				w.look()
				<-w.turn
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}

// look asks the agent how it is, and compares that with what is.
func (w *world) look() {
	w.mu.Lock()
	a, calm := w.agent, len(w.faults.active) == 0 && w.sinceFaults() > clearWithin
	w.mu.Unlock()
	if a == nil {
		return
	}
	for _, x := range w.containers() {
		if n := x.c.Followers(); n > mostRequests {
			w.find("%d log requests of container %s are open", n, x.c.Name())
		}
	}
	if n := a.col.StreamSet().OpenFiles(); n > file.MaxHeld*len(w.slots) {
		w.find("%d log files are open", n)
	}
	up := time.Since(a.since)
	h := a.col.Health()
	lasts := func(kinds ...string) bool {
		since := w.has(kinds...)
		return !since.IsZero() && min(time.Since(since), up) > tellWithin
	}
	a.mu.Lock()
	refused := a.refused
	a.mu.Unlock()
	switch {
	case h.Ready && lasts("down", "hang", "refused ", "refused list"):
		w.find("ready, although the Engine has not answered for %s", time.Since(w.has("down", "hang", "refused ", "refused list")))
	case h.Ready && refused:
		w.find("ready, although Fluent Bit refuses")
	case !h.Ready && calm && up > clearWithin && !w.nothingReadable(clearWithin):
		w.find("not ready, although nothing has been wrong for %s: %s", w.sinceFaults(), strings.Join(h.Problems, "; "))
	}
	if h.Ready && w.has("sink").IsZero() && h.Totals.Lag < 60 {
		w.hidesLag(a)
	}
}

// nothingReadable says that the log of a container holds nothing behind a damage, or did
// until a moment ago: that it cannot be read is so until the next try. In the end, with no
// such moment, one that does not run is to be read to the damage, if anything is before it.
func (w *world) nothingReadable(moment time.Duration) bool {
	return slices.ContainsFunc(w.containers(), func(x *written) bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		over := moment == 0 && x.c.State() == "exited" && x.c.Forgotten() < x.damagedFrom
		return x.damagedFrom >= 0 && (x.c.Records() <= x.damagedTo && !over || time.Since(x.readable) < moment)
	})
}

// hidesLag looks for lines that an agent should have delivered that is ready and
// lags behind nothing.
func (w *world) hidesLag(a *simAgent) {
	old := lateWithin + 25*time.Duration(w.slowest.Load())
	if time.Since(a.since) < old || w.sinceFaults() < old {
		return
	}
	for _, x := range w.containers() {
		if x.missing() == 0 || x.spec.MaxSize > 0 && !x.byFile() {
			continue
		}
		if !w.has("throttle").IsZero() && strings.Contains(state(a, x), "is "+status.Opening) {
			continue // it is sent so little that it does not know yet what the log holds
		}
		x.mu.Lock()
		if n := len(x.unwanted); n > 0 && time.Since(x.unwanted[n-1].to) < old {
			x.mu.Unlock()
			continue
		}
		for std := range x.lines {
			for _, l := range x.lines[std][x.first[std]:] {
				if x.due(l) && !l.unended && time.Since(l.at) > old && !w.wasSaid(x, l) && !w.beforeAny(l) {
					w.find("ready and without lag, although container %s, std %d, line %d was written %s ago and did not come: %s; %s",
						x.c.Name(), std, l.i, time.Since(l.at).Round(time.Second), brief(l.text), state(a, x))
					break
				}
			}
		}
		x.mu.Unlock()
	}
}

// beforeAny says whether a line was written before an agent knew any container: the
// first one ended at once, and to the next it is of a run from before its time.
func (w *world) beforeAny(l *wline) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ended) == 0 {
		return false
	}
	first := w.ended[0].at
	return first.Sub(w.began) < time.Second+5*time.Duration(w.p.Latency)*time.Millisecond && !l.at.After(first)
}

// state is how the agent says that the container's stream is.
func state(a *simAgent, x *written) string {
	for _, s := range a.col.Streams() {
		if s.ID == x.c.ID {
			return fmt.Sprintf("its stream is %s by %s, position %v, lag %v, open for %v s", s.State, s.Reader, s.Position, s.Lag, s.Age)
		}
	}
	return "it has no stream"
}
