package store

import (
	"math"
	"slices"

	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wait"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// Request is what a log request asks for and gets.
type Request struct {
	Encoder wire.Encoder
	Want    [4]bool // by Std
	Tail    string  // as sent: "", "all" or a number
	Since   int64   // unix ns, minint64: from the beginning
	Until   int64   // unix ns, maxint64: to the end
	Follow  bool
	API     version.API
	Silent  bool   // it is sent nothing
	NoEmpty bool   // it is sent no empty lines, which count in a tail
	Cut     func() // breaks its connection
}

// shows says whether a record is sent that it goes over.
func (q *Request) shows(r wire.Record) bool {
	isEmpty := len(r.Data) == 0 || r.Data[0] == '\n'
	return q.Want[r.Std] && (!q.NoEmpty || !isEmpty)
}

// Follower is one open request for a log.
type Follower struct {
	req  Request
	gate bool // since lets everything pass behind the first record that it lets pass
	wake chan struct{}
	done chan struct{} // closed when the request has ended

	// Guarded by the log's mu.
	pos, end uint64 // next record to send; where the stream ends (maxuint64 = open)
	busy     bool   // something filled is not flushed yet
	inserts  []insert
	skips    []span          // of records that it is not sent
	there    uint64          // where the log ended when it was opened
	used     []*unpackedFile // until it was sent what is before record usedTo
	usedTo   uint64
}

// insert is something else to send, in front of record pos.
type insert struct {
	pos  uint64
	raw  []byte
	recs []wire.Record
}

// span is the records from one up to another.
type span struct{ from, to uint64 }

func newFollower(req Request) *Follower {
	return &Follower{req: req, gate: req.API >= version.V143, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (f *Follower) poke() { wait.Poke(f.wake) }

// insert queues something in front of the next record to be stored.
func (f *Follower) insert(in insert) {
	f.inserts = append(f.inserts, in)
	f.poke()
}

// keep has the follower sent what it was not sent yet of the n oldest records, which are about to be forgotten, up to
// record to and to a damage.
func (f *Follower) keep(c *content, n int, to uint64) {
	from, to := max(f.pos, c.base), min(c.base+uint64(n), to)
	for _, d := range c.damages {
		if d.at >= from {
			to = min(to, d.at)
		}
	}
	if from >= to {
		return
	}
	i := slices.IndexFunc(f.inserts, func(in insert) bool { return in.pos > from })
	if i < 0 {
		i = len(f.inserts)
	}
	f.inserts = slices.Insert(f.inserts, i, insert{pos: to, recs: slices.Clone(c.recs[from-c.base : to-c.base])})
	f.pos = to
}

// follows says whether it is sent what is yet to be written.
func (f *Follower) follows() bool { return f.end == math.MaxUint64 }

// behind says whether it has not been sent all.
// end is where the log ends.
func (f *Follower) behind(end uint64) bool {
	return !f.req.Silent && (f.busy || len(f.inserts) > 0 || f.pos < min(end, f.end))
}

// batchSize is how much a follower gets in one write.
const batchSize = 64 << 10

// fill appends what the follower is to get next. over says that nothing will follow.
func (f *Follower) fill(buf []byte, c *content) (_ []byte, over bool) {
	for !f.req.Silent && len(buf) < batchSize {
		f.pos = max(f.pos, c.base)
		if len(f.skips) > 0 && f.pos >= f.skips[0].from {
			f.pos, f.skips = max(f.pos, f.skips[0].to), f.skips[1:]
			continue
		}
		if f.used != nil && f.pos >= f.usedTo && len(f.inserts) == 0 {
			c.unpacked.letGo(f.used)
			f.used = nil
		}
		if len(f.inserts) > 0 && f.inserts[0].pos <= f.pos {
			buf = f.fillInsert(buf)
			continue
		}
		if f.pos >= f.end {
			return buf, true
		}
		if d := c.damageAt(f.pos); d != nil && f.pos < f.there {
			if buf, over = f.meet(buf, d); over {
				return buf, true
			}
			continue
		}
		if f.pos >= c.end() {
			break
		}
		r := c.recs[f.pos-c.base]
		f.pos++
		if r.TS < f.req.Since {
			continue
		}
		if f.gate {
			f.req.Since = math.MinInt64
		}
		if r.TS > f.req.Until {
			return buf, true
		}
		if f.req.shows(r) {
			buf = f.req.Encoder.Append(buf, r)
		}
	}
	return buf, false
}

func (f *Follower) fillInsert(buf []byte) []byte {
	in := f.inserts[0]
	f.inserts = f.inserts[1:]
	buf = append(buf, in.raw...)
	for _, r := range in.recs {
		if f.req.shows(r) {
			buf = f.req.Encoder.Append(buf, r)
		}
	}
	return buf
}

// meet is what a reader does at a damage in what the log held when it was opened. A follow goes on from there: what is
// glued to a damage at the very end is sent to it, and to nobody else (moby, daemon/logger/loggerutils/logfile.go).
func (f *Follower) meet(buf []byte, d *damage) (_ []byte, over bool) {
	switch {
	case f.req.API < version.V142:
		f.pos = min(d.at+1+d.buffered, f.there)
	case f.req.API < version.V147:
		line := []byte("Error grabbing logs: invalid character '\\x00' looking for beginning of value\n")
		return wire.AppendFrame(buf, wire.Systemerr, line), true
	case !f.follows():
		return buf, true
	default:
		f.pos = f.there
	}
	return buf, false
}
