package api

import (
	"sync"
)

// openings are what is open of a log that is followed. Another goroutine than that of
// the read opens it anew.
type openings struct {
	mu   sync.Mutex
	open *openLog // the one that is followed; guarded by mu
	next *openLog // the one that is to take its place; guarded by mu
}

func (o *openings) setOpen(l *openLog) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = l
}

// takeNext is what a rotation has opened, nil if there is nothing.
func (o *openings) takeNext() *openLog {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.next
	o.next = nil
	return l
}

// opened says whether a rotation has opened the log again.
func (o *openings) opened() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next != nil
}

// setNext has l take the place of what is open of the log. mu is held.
func (o *openings) setNext(l *openLog) {
	if o.next != nil {
		o.next.close()
	}
	o.next = l
}

func (o *openings) dropNext() {
	if l := o.takeNext(); l != nil {
		l.close()
	}
}

// current is what is open of the log, nil if nothing is.
func (o *openings) current() *openLog {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.open
}

// drop closes l, unless it has been taken.
func (o *openings) drop(l *openLog) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == l {
		o.next = nil
		l.close()
	}
}
