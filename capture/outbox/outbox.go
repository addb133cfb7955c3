package outbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Batch is what Fluent Bit appends in one call: records of one tag.
type Batch struct {
	Tag     string // empty: the instance's own
	Buf     []byte // msgpack records one after the other
	Records int

	whole   int      // bytes of Buf that are whole records
	seats   []*Seat  // that have records in it, each once
	commits []Commit // made when it is sealed
	end     uint64   // outbox.appended behind it, once it was appended
}

// Outbox holds the records between the streams and Fluent Bit: bounded in
// bytes, in order. Streams append to the open batch of their tag; Fluent Bit's
// thread takes the oldest batch, sealing an open one when no other is left:
// the busier it is, the larger the batches become. A batch is kept until it is
// acknowledged, so that one that Fluent Bit dropped can be appended again.
type Outbox struct {
	BatchSize, Limit int
	notify           func()

	timer *time.Timer // notifies at the end of a pause

	// These are set before the first use. latency may be nil: it is not measured.
	Latency   prometheus.Observer
	Ahead     *atomic.Int64   // of the Engine's clock
	Journaled chan<- struct{} // capacity 1; told of commits; nil without a journal

	mu       sync.Mutex
	room     chan struct{} // closed and replaced when bytes fall below limit
	open     map[string]*Batch
	order    []*Batch     // open ones, oldest first
	sealed   []*Batch     // oldest first
	bytes    int          // in open and sealed batches
	held     atomic.Int64 // bytes, for those who must not wait for mu
	waiting  bool         // Next found nothing: notify at the next record
	notified time.Time
	timed    bool   // timer runs
	appended uint64 // records of all batches that were appended, but for those that were refused
	acked    uint64
	refused  uint64   // records of batches that were appended and came back, each time
	refusing bool     // nothing was acknowledged since the last refusal
	changed  bool     // positions that may be committed have, since takeMoved
	news     []*Seat  // whose position was committed since takeCommitted
	unacked  []*Batch // oldest first
	spare    []*Batch
	lines    [][]byte // buffers of lines that were incomplete, to be used again
}

// New makes one with batches of about batchSize bytes, and limit bytes in all. It
// calls notify when there is something to take.
func New(batchSize, limit int, notify func()) *Outbox {
	o := &Outbox{
		BatchSize: batchSize,
		Limit:     limit,
		notify:    notify,
		room:      make(chan struct{}),
		open:      make(map[string]*Batch),
		waiting:   true,
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

// Batch returns the open batch of the tag for a source to append a record of about
// size bytes to. A batch is sealed here, before that record, so that the
// positions it stands for are those of the records that it holds. The outbox is locked.
func (o *Outbox) Batch(tag string, s *Seat, size int) *Batch {
	b := o.open[tag]
	if b != nil && len(b.Buf)+size > o.BatchSize {
		o.seal(b)
		b = nil
	}
	if s.inBatch != nil && s.inBatch != b { // the tag changed with the name
		o.seal(s.inBatch)
	}
	if b == nil {
		b = o.newBatch()
		b.Tag = tag
		o.open[tag] = b
		o.order = append(o.order, b)
	}
	if s.inBatch == nil {
		s.inBatch = b
		s.batches++
		b.seats = append(b.seats, s)
	}
	return b
}

func (o *Outbox) newBatch() *Batch {
	k := len(o.spare)
	if k == 0 {
		return &Batch{}
	}
	b := o.spare[k-1]
	o.spare = o.spare[:k-1]
	return b
}

// Added accounts for a record of size bytes that was appended to b. The
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

// pace is the shortest time between two calls of notify. A follow stream is
// sent line by line: woken for each, Fluent Bit's thread would take as much CPU
// as the reading. A line after a silence is never delayed.
const pace = 5 * time.Millisecond

// Lock is taken to append records, and for all that a source has under this lock.
func (o *Outbox) Lock() { o.mu.Lock() }

// Unlock releases it, and wakes Fluent Bit's thread where there is something new.
func (o *Outbox) Unlock() {
	o.held.Store(int64(o.bytes))
	tell := o.wakes()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// wakes says whether notify is to be called now: Fluent Bit's thread waits, and
// there is something to take. o.mu is held.
func (o *Outbox) wakes() bool {
	if !o.waiting || o.timed || len(o.sealed)+len(o.order) == 0 {
		return false
	}
	if since := time.Since(o.notified); since < pace {
		o.timed = true
		o.timer.Reset(pace - since)
		return false
	}
	o.waiting, o.notified = false, time.Now()
	return true
}

// paced ends a pause that wake began.
func (o *Outbox) paced() {
	o.mu.Lock()
	o.timed = false
	tell := o.waiting
	o.waiting, o.notified = false, time.Now()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// Next returns the oldest batch, the same one until Appended; nil if nothing waits.
// It is for one thread alone, as Appended, Ack and Refuse are.
func (o *Outbox) Next() *Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sealed) == 0 && len(o.order) > 0 {
		o.seal(o.order[0])
	}
	if len(o.sealed) == 0 {
		o.waiting = true
		if len(o.unacked) == 0 && len(o.spare) > restSpare {
			clear(o.spare[restSpare:])
			o.spare = o.spare[:restSpare]
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
	full := o.bytes >= o.Limit
	o.bytes -= len(b.Buf)
	o.held.Store(int64(o.bytes))
	if full && o.bytes < o.Limit {
		close(o.room)
		o.room = make(chan struct{})
	}
}

// Ack says that the first total records, in the order of Appended, are safe.
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
		o.recycle(b)
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

// maxSpare bounds the memory of batches that wait to be used again: as many as
// may be under way at once, and few when nothing is.
const (
	maxSpare  = 64
	restSpare = 8
)

// recycle keeps the buffer of a batch that is done with. o.mu is held.
func (o *Outbox) recycle(b *Batch) {
	clear(b.commits)
	b.commits, b.Records, b.whole = b.commits[:0], 0, 0
	if len(o.spare) < maxSpare && cap(b.Buf) <= 2*o.BatchSize {
		b.Buf = b.Buf[:0]
		o.spare = append(o.spare, b)
	}
}

// Refuse takes back all that was appended and not acknowledged, to be appended anew.
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

// observe notes how long the last record of a batch took from the Engine to
// Fluent Bit's chunks. o.mu is held.
func (o *Outbox) observe(now time.Time, commits []Commit) {
	newest := int64(0)
	for i := range commits {
		newest = max(newest, commits[i].Pos.Anchor.Time())
	}
	if o.Latency != nil && newest > 0 {
		o.Latency.Observe(max(0, now.Sub(time.Unix(0, newest-o.Ahead.Load()))).Seconds())
	}
}

// Outstanding is how many records were appended and not acknowledged.
func (o *Outbox) Outstanding() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.appended - o.acked
}

// Full says whether readers have to wait.
func (o *Outbox) Full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes >= o.Limit
}

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

// Close ends the pause that may be under way: nobody is woken any more.
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
