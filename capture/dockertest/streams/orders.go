package streams

import (
	"sync"
	"time"
)

// Orders are what is to happen to log requests to come. The zero value is nothing.
type Orders struct {
	mu          sync.Mutex
	cutAfter    int64
	cutTimes    int
	silentTimes int
	bytesPerSec int
	firstByte   time.Duration
	before      func(LogQuery)
}

// CutAfter breaks log requests after n bytes of their body.
// It does so to each of the next times, wherever in a frame that is. times 0 ends it.
func (o *Orders) CutAfter(n int64, times int) {
	o.mu.Lock()
	o.cutAfter, o.cutTimes = n, times
	o.mu.Unlock()
}

// Throttle limits what each log request is sent. 0 is no limit. It works on open requests too; a container's limit goes before the Engine's.
func (o *Orders) Throttle(bytesPerSec int) {
	o.mu.Lock()
	o.bytesPerSec = bytesPerSec
	o.mu.Unlock()
}

// FirstByte makes each log request wait for its first byte.
// 20.10 does that unpacks all rotated files for it.
func (o *Orders) FirstByte(d time.Duration) {
	o.mu.Lock()
	o.firstByte = d
	o.mu.Unlock()
}

// BeforeLog has do called before each log request gets its place.
// It gives the log what it is to hold by then that it did not at the request before. nil ends it.
func (o *Orders) BeforeLog(do func(LogQuery)) {
	o.mu.Lock()
	o.before = do
	o.mu.Unlock()
}

// silence makes the next n go silent.
func (o *Orders) silence(n int) {
	o.mu.Lock()
	o.silentTimes = n
	o.mu.Unlock()
}

// announce calls what was ordered by BeforeLog.
func (o *Orders) announce(q LogQuery) {
	o.mu.Lock()
	do := o.before
	o.mu.Unlock()
	if do != nil {
		do(q)
	}
}

// rate is how many bytes a second may be sent, 0: any.
func (o *Orders) rate() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytesPerSec
}

// plan is what happens to one log request.
type plan struct {
	cutAfter int64 // bytes, < 0 = never
	silent   bool
	wait     time.Duration // before the first byte
}

// take uses up what was ordered for one request.
func (o *Orders) take(p *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cutTimes > 0 && p.cutAfter < 0 {
		o.cutTimes--
		p.cutAfter = o.cutAfter
	}
	if o.silentTimes > 0 && !p.silent {
		o.silentTimes--
		p.silent = true
	}
	p.wait = max(p.wait, o.firstByte)
}
