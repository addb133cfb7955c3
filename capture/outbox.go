package capture

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/position"
)

// Batch is what Fluent Bit appends in one call: records of one tag.
type Batch struct {
	Tag     string // empty: the instance's own
	Buf     []byte // msgpack records one after the other
	Records int

	whole   int              // bytes of Buf that are whole records
	streams []*stream        // that have records in it, each once
	commits []positionCommit // made when it is sealed
	end     uint64           // outbox.appended behind it, once it was appended
}

// positionCommit is the position of a stream behind its last record in a
// batch.
type positionCommit struct {
	stream *stream
	pos    position.Position
}

// outbox holds the records between the streams and Fluent Bit: bounded in
// bytes, in order. Streams append to the open batch of their tag; Fluent Bit's
// thread takes the oldest batch, sealing an open one when no other is left:
// the busier it is, the larger the batches become. A batch is kept until it is
// acknowledged, so that one that Fluent Bit dropped can be appended again.
type outbox struct {
	batchSize, limit int
	notify           func()

	timer *time.Timer // notifies at the end of a pause

	latency prometheus.Observer // nil: not measured
	ahead   *atomic.Int64       // of the Engine's clock

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
	refused  uint64 // records of batches that were appended and came back, each time
	refusing bool   // nothing was acknowledged since the last refusal
	// moved says that positions that may be committed have changed since it was
	// reset.
	moved     bool
	journaled chan<- struct{} // capacity 1; told of commits; nil without a journal
	news      []*stream       // whose position was committed since takeCommitted
	spareNews []*stream
	unacked   []*Batch // oldest first
	spare     []*Batch
	lines     [][]byte // buffers of lines that were incomplete, to be used again
}

func newOutbox(batchSize, limit int, notify func()) *outbox {
	o := &outbox{
		batchSize: batchSize,
		limit:     limit,
		notify:    notify,
		room:      make(chan struct{}),
		open:      make(map[string]*Batch),
		waiting:   true,
	}
	o.timer = time.AfterFunc(time.Hour, o.paced)
	o.timer.Stop()
	return o
}

// waitRoom blocks while the outbox is full.
func (o *outbox) waitRoom(ctx context.Context) error {
	for {
		o.mu.Lock()
		full, room := o.bytes >= o.limit, o.room
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

// batch returns the open batch of the tag for s to append a record of about
// size bytes to. A batch is sealed here, before that record, so that the
// positions it stands for are those of the records that it holds. o.mu is held.
func (o *outbox) batch(tag string, s *stream, size int) *Batch {
	b := o.open[tag]
	if b != nil && len(b.Buf)+size > o.batchSize {
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
		b.streams = append(b.streams, s)
	}
	return b
}

func (o *outbox) newBatch() *Batch {
	k := len(o.spare)
	if k == 0 {
		return &Batch{}
	}
	b := o.spare[k-1]
	o.spare = o.spare[:k-1]
	return b
}

// Buffers for incomplete lines are shared by all streams and few are kept: long
// lines come one after the other.
const (
	maxSpareLines = 8
	maxSpareLine  = 64 << 10
)

// lineBuffer returns an empty buffer for an incomplete line. o.mu is held.
func (o *outbox) lineBuffer() []byte {
	k := len(o.lines)
	if k == 0 {
		return nil
	}
	b := o.lines[k-1]
	o.lines = o.lines[:k-1]
	return b[:0]
}

// freeLine takes back a buffer of a line that is complete. o.mu is held.
func (o *outbox) freeLine(b []byte) {
	if len(o.lines) < maxSpareLines && cap(b) > 0 && cap(b) <= maxSpareLine {
		o.lines = append(o.lines, b)
	}
}

// added accounts for a record of size bytes that was appended to b. o.mu is
// held.
func (o *outbox) added(b *Batch, size int) {
	b.Records++
	b.whole = len(b.Buf)
	o.bytes += size
}

// cutBack takes what there is of half a record off the batch.
func (b *Batch) cutBack() { b.Buf = b.Buf[:b.whole] }

// seal closes b and notes what positions it stands for. o.mu is held.
func (o *outbox) seal(b *Batch) {
	delete(o.open, b.Tag)
	for i, x := range o.order {
		if x == b {
			o.order = append(o.order[:i], o.order[i+1:]...)
			break
		}
	}
	for _, s := range b.streams {
		s.inBatch = nil
		b.commits = append(b.commits, positionCommit{s, s.snapshot()})
	}
	clear(b.streams)
	b.streams = b.streams[:0]
	o.sealed = append(o.sealed, b)
}

// pace is the shortest time between two calls of notify. A follow stream is
// sent line by line: woken for each, Fluent Bit's thread would take as much CPU
// as the reading. A line after a silence is never delayed.
const pace = 5 * time.Millisecond

// unlock releases o.mu after records were added, and wakes Fluent Bit's thread.
func (o *outbox) unlock() {
	o.held.Store(int64(o.bytes))
	tell := o.wakes()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// wakes says whether notify is to be called now: Fluent Bit's thread waits, and
// there is something to take. o.mu is held.
func (o *outbox) wakes() bool {
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
func (o *outbox) paced() {
	o.mu.Lock()
	o.timed = false
	tell := o.waiting
	o.waiting, o.notified = false, time.Now()
	o.mu.Unlock()
	if tell {
		o.notify()
	}
}

// next is Collector.Next.
func (o *outbox) next() *Batch {
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

// appendedFirst is Collector.Appended.
func (o *outbox) appendedFirst() {
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
	full := o.bytes >= o.limit
	o.bytes -= len(b.Buf)
	o.held.Store(int64(o.bytes))
	if full && o.bytes < o.limit {
		close(o.room)
		o.room = make(chan struct{})
	}
}

// ack is Collector.Ack.
func (o *outbox) ack(total uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := 0
	now := time.Now()
	for ; done < len(o.unacked) && o.unacked[done].end <= total; done++ {
		b := o.unacked[done]
		o.observe(now, b.commits)
		for _, c := range b.commits {
			c.stream.batches--
			o.commit(c.stream, c.pos)
		}
		o.acked, o.refusing = b.end, false
		o.recycle(b)
	}
	clear(o.unacked[:done])
	o.unacked = o.unacked[done:]
	if o.journaled != nil && len(o.news) > 0 {
		select {
		case o.journaled <- struct{}{}:
		default:
		}
	}
}

// commit moves the position of s that a restart goes on from. o.mu is held.
func (o *outbox) commit(s *stream, pos position.Position) {
	s.committed = pos
	o.moved = true
	if o.journaled != nil && !s.news {
		s.news = true
		o.news = append(o.news, s)
	}
}

// maxSpare bounds the memory of batches that wait to be used again: as many as
// may be under way at once, and few when nothing is.
const (
	maxSpare  = 64
	restSpare = 8
)

// recycle keeps the buffer of a batch that is done with. o.mu is held.
func (o *outbox) recycle(b *Batch) {
	clear(b.commits)
	b.commits, b.Records, b.whole = b.commits[:0], 0, 0
	if len(o.spare) < maxSpare && cap(b.Buf) <= 2*o.batchSize {
		b.Buf = b.Buf[:0]
		o.spare = append(o.spare, b)
	}
}

// refuse is Collector.Refused.
func (o *outbox) refuse() (records uint64) {
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
func (o *outbox) observe(now time.Time, commits []positionCommit) {
	newest := int64(0)
	for i := range commits {
		newest = max(newest, commits[i].pos.Anchor.Time())
	}
	if o.latency != nil && newest > 0 {
		o.latency.Observe(max(0, now.Sub(time.Unix(0, newest-o.ahead.Load()))).Seconds())
	}
}

// untaken returns the streams that have records in batches that were not
// acknowledged, each once.
func (o *outbox) untaken() (all []*stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	add := func(s *stream) {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for _, batches := range [][]*Batch{o.unacked, o.sealed, o.order} {
		for _, b := range batches {
			for _, s := range b.streams {
				add(s)
			}
			for _, c := range b.commits {
				add(c.stream)
			}
		}
	}
	return all
}

// outstanding is Collector.Outstanding.
func (o *outbox) outstanding() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.appended - o.acked
}

// full says whether readers have to wait.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes >= o.limit
}

// size returns the bytes that wait for Fluent Bit.
func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}
