package store

import (
	"bytes"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// chunkSize is where dockerd splits lines: the buffer of its copier.
const chunkSize = 16384

// copier makes records of what a container writes.
// It does as dockerd's (daemon/logger/copier.go), or as Podman's conmon.
type copier struct {
	clock  func() time.Time
	add    func(wire.Record) // takes a record, whose data it must copy
	tty    bool
	podman bool
	// pieceTimes says whether each chunk has its own time.
	pieceTimes func() bool
	stamp      string     // of the records that are being stored; see Stamped
	pending    [3]pending // by Std
}

// pending is what a std stream wrote since its last record.
type pending struct {
	buf  []byte
	more bool  // a chunk of this line is stored already
	ts   int64 // of that chunk
}

func (c *copier) write(std wire.Std, b []byte, at *time.Time) {
	if c.tty || std != wire.Stderr {
		std = wire.Stdout
	}
	if c.podman {
		podman.Pieces(b, func(piece []byte) { c.add(wire.Record{TS: c.time(at), Std: std, Data: piece}) })
		return
	}
	p := &c.pending[std]
	for len(b) > 0 {
		room := chunkSize - len(p.buf)
		i := bytes.IndexByte(b[:min(len(b), room)], '\n')
		switch {
		case i >= 0:
			c.store(std, p, b[:i+1], at)
			p.more = false
			b = b[i+1:]
		case len(b) >= room:
			c.store(std, p, b[:room], at)
			b = b[room:]
		default:
			p.buf = append(p.buf, b...)
			return
		}
	}
}

// store adds the pending bytes and b as one record. All chunks of a line carry the first one's time, as a rule.
func (c *copier) store(std wire.Std, p *pending, b []byte, at *time.Time) {
	last := p.more && b != nil && b[len(b)-1] == '\n'
	if !p.more || c.pieceTimes() {
		p.ts = c.time(at)
		p.more = true
	}
	if len(p.buf) > 0 {
		p.buf = append(p.buf, b...)
		b = p.buf
	}
	c.add(wire.Record{TS: p.ts, Std: std, Data: b, Stamp: c.stamp, Last: last})
	p.buf = p.buf[:0]
}

// finish stores the lines that are not finished.
func (c *copier) finish() {
	for std := range c.pending {
		if p := &c.pending[std]; len(p.buf) > 0 {
			c.store(wire.Std(std), p, nil, nil)
		}
		c.pending[std] = pending{}
	}
}

// time is at, or the clock's.
func (c *copier) time(at *time.Time) int64 {
	if at != nil {
		return at.UnixNano()
	}
	return c.clock().UnixNano()
}
