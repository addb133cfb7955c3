package outbox

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Outbox holds the records between the streams and Fluent Bit. They are bounded
// in bytes, and in order. Streams append to the open batch of their tag; Fluent
// Bit's thread takes the oldest batch, sealing an open one when no other is
// left: the busier it is, the larger the batches become. A batch is kept until
// it is acknowledged, so that one that Fluent Bit dropped can be appended
// again.
type Outbox struct {
	BatchSize, Limit int
	delay
	wakeUps
	committed
	ledger
	spares

	mu      sync.Mutex
	room    chan struct{} // closed and replaced when bytes fall below limit
	open    map[string]*Batch
	order   []*Batch     // open ones, oldest first
	sealed  []*Batch     // oldest first
	unacked []*Batch     // oldest first
	bytes   int          // in open and sealed batches
	held    atomic.Int64 // bytes, for those who must not wait for mu
}

// ledger is how many records were handed over, and what became of them.
type ledger struct {
	appended uint64 // records of all batches that were appended, but for those that were refused
	acked    uint64
	refused  uint64 // records of batches that were appended and came back, each time
	refusing bool   // nothing was acknowledged since the last refusal
}

// New makes an outbox with batches of about batchSize bytes. In all it holds
// limit bytes. It calls notify when there is something to take.
func New(batchSize, limit int, notify func()) *Outbox {
	o := &Outbox{
		BatchSize: batchSize,
		Limit:     limit,
		wakeUps:   wakeUps{notify: notify, waiting: true},
		room:      make(chan struct{}),
		open:      make(map[string]*Batch),
	}
	o.timer = time.AfterFunc(time.Hour, o.paced)
	o.timer.Stop()
	return o
}

// WaitRoom blocks while the outbox is full.
func (o *Outbox) WaitRoom(ctx context.Context) error {
	for {
		o.mu.Lock()
		full, room := o.bytes >= o.Limit, o.room
		o.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Batch returns the tag's open batch for a source to append to. The record has about
// size bytes. A batch is sealed here, before that record, so that the positions it
// stands for are those of the records that it holds. The outbox is locked.
func (o *Outbox) Batch(tag string, s *Seat, size int) *Batch {
	b := s.inBatch // which is open
	if b == nil || b.Tag != tag {
		b = o.open[tag]
	}
	if b != nil && len(b.Buf)+size > o.BatchSize {
		o.seal(b)
		b = nil
	}
	if s.inBatch != nil && s.inBatch != b { // the tag changed with the name
		o.seal(s.inBatch)
	}
	if b == nil {
		b = o.take()
		b.Tag = tag
		o.open[tag] = b
		o.order = append(o.order, b)
	}
	if cap(b.Buf)-len(b.Buf) < size {
		b.grow(size, o.BatchSize)
	}
	if s.inBatch == nil {
		s.inBatch = b
		s.batches++
		b.seats = append(b.seats, s)
	}
	return b
}

// Added accounts for a record of size bytes in b. It was just appended. The
// outbox is locked.
func (o *Outbox) Added(b *Batch, size int) {
	b.Records++
	b.whole = len(b.Buf)
	o.bytes += size
}

// seal closes b and notes what positions it stands for. o.mu is held.
func (o *Outbox) seal(b *Batch) {
	delete(o.open, b.Tag)
	for i, x := range o.order {
		if x == b {
			o.order = append(o.order[:i], o.order[i+1:]...)
			break
		}
	}
	for _, s := range b.seats {
		s.inBatch = nil
		b.commits = append(b.commits, Commit{s, s.Source.Snapshot()})
	}
	clear(b.seats)
	b.seats = b.seats[:0]
	o.sealed = append(o.sealed, b)
}

// Lock locks the outbox, to append records. It guards all that a source has under
// this lock, too.
func (o *Outbox) Lock() { o.mu.Lock() }

// Unlock unlocks the outbox. It wakes Fluent Bit's thread where there is
// something new.
func (o *Outbox) Unlock() {
	o.held.Store(int64(o.bytes))
	tell := o.due(len(o.sealed) > 0, len(o.order) > 0)
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// paced ends a pause that due began.
func (o *Outbox) paced() {
	o.mu.Lock()
	o.timed, o.soon = false, false
	tell := o.waiting
	o.waiting, o.notified = false, time.Now()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// Next returns the oldest batch; nil: nothing waits. It is the same one until
// Appended. It is for one thread alone, as Appended, Ack and Refuse are.
func (o *Outbox) Next() *Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sealed) == 0 && len(o.order) > 0 {
		o.seal(o.order[0])
	}
	if len(o.sealed) == 0 {
		o.waiting = true
		if len(o.unacked) == 0 {
			o.shrink()
		}
		return nil
	}
	return o.sealed[0]
}

// Appended says that the batch of Next is under way.
func (o *Outbox) Appended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sealed) == 0 {
		return
	}
	b := o.sealed[0]
	o.sealed[0] = nil
	o.sealed = o.sealed[1:]
	o.appended += uint64(b.Records)
	b.end = o.appended
	o.unacked = append(o.unacked, b)
	o.usedAt = time.Now()
	full := o.bytes >= o.Limit
	o.bytes -= len(b.Buf)
	o.held.Store(int64(o.bytes))
	if full && o.bytes < o.Limit {
		close(o.room)
		o.room = make(chan struct{})
	}
}

// Ack says that the first total records are safe. They are counted in the order
// of Appended.
func (o *Outbox) Ack(total uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := 0
	now := time.Now()
	for ; done < len(o.unacked) && o.unacked[done].end <= total; done++ {
		b := o.unacked[done]
		o.observe(now, b.commits)
		for _, c := range b.commits {
			c.Seat.batches--
			o.commit(c.Seat, c.Pos)
		}
		o.acked, o.refusing = b.end, false
		o.keep(b, o.BatchSize, o.Limit)
	}
	clear(o.unacked[:done])
	o.unacked = o.unacked[done:]
	if o.Journaled != nil && len(o.news) > 0 {
		select {
		case o.Journaled <- struct{}{}:
		default:
		}
	}
}

// Refuse takes back all that was appended and not acknowledged. It is to be appended
// anew.
func (o *Outbox) Refuse() (records uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	records = o.appended - o.acked
	o.refused += records
	o.refusing = true
	o.appended = o.acked
	for _, b := range o.unacked {
		o.bytes += len(b.Buf)
	}
	o.held.Store(int64(o.bytes))
	o.sealed = append(o.unacked, o.sealed...)
	o.unacked = nil
	return records
}

// Outstanding is how many records were appended and not acknowledged.
func (o *Outbox) Outstanding() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.appended - o.acked
}

// Full says, without waiting for the lock, whether readers have to wait.
func (o *Outbox) Full() bool { return o.held.Load() >= int64(o.Limit) }

// Size returns the bytes that wait for Fluent Bit.
func (o *Outbox) Size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// Filled is Full for who has locked the outbox.
func (o *Outbox) Filled() bool { return o.bytes >= o.Limit }

// Anything says, without waiting for the lock, whether something waits.
func (o *Outbox) Anything() bool { return o.held.Load() != 0 }

// Close ends the pause that may be under way. Nobody is woken after that.
func (o *Outbox) Close() { o.timer.Stop() }

// Totals are how many records were appended, acknowledged and refused so far.
// One that was refused is appended more than once.
func (o *Outbox) Totals() (appended, acked, refused uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.appended + o.refused, o.acked, o.refused
}

// IsRefusing says whether Fluent Bit keeps nothing of what it is given.
func (o *Outbox) IsRefusing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refusing
}

// TakeCommitted returns the positions that were committed since the last call.
func (o *Outbox) TakeCommitted() []Commit {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Commit, 0, len(o.news))
	for _, s := range o.news {
		s.news = false
		all = append(all, Commit{s, s.Committed})
	}
	clear(o.news)
	o.news = o.news[:0]
	return all
}

// Untaken returns the sources of batches that were not acknowledged. Each is
// there once.
func (o *Outbox) Untaken() (all []Source) {
	o.mu.Lock()
	defer o.mu.Unlock()
	add := func(s *Seat) {
		if !slices.Contains(all, s.Source) {
			all = append(all, s.Source)
		}
	}
	for _, batches := range [][]*Batch{o.unacked, o.sealed, o.order} {
		for _, b := range batches {
			for _, s := range b.seats {
				add(s)
			}
			for _, c := range b.commits {
				add(c.Seat)
			}
		}
	}
	return all
}

// SpareLines is how many bytes the buffers of incomplete lines have.
func (o *Outbox) SpareLines() (bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.lines {
		bytes += cap(b)
	}
	return bytes
}
