package outbox

import "time"

// The shortest times between two calls of notify: with a batch that is full, and
// without. A follow stream is sent line by line, and most hosts have many containers
// with a line now and then: woken for each, Fluent Bit's thread would take as much
// CPU as the reading. A line after a silence is never delayed.
const (
	pace     = 5 * time.Millisecond
	calmPace = 50 * time.Millisecond
)

// wakeUps is when Fluent Bit's thread is told that there is something to take. It is
// guarded by the outbox's lock.
type wakeUps struct {
	notify   func()
	waiting  bool // Next found nothing: notify at the next record
	notified time.Time
	timer    *time.Timer // ends a pause
	timed    bool        // it runs
	soon     bool        // and ends with the shorter pace
}

// due says whether notify is to be called now: Fluent Bit's thread waits, and there
// is a batch that is full, or one that is open.
func (w *wakeUps) due(full, open bool) bool {
	if !w.waiting || !full && (w.timed || !open) || w.soon {
		return false
	}
	wait := calmPace
	if full {
		wait = pace
	}
	if since := time.Since(w.notified); since < wait {
		w.timed, w.soon = true, full
		w.timer.Reset(wait - since)
		return false
	}
	w.waiting, w.notified = false, time.Now()
	return true
}
