package file

import (
	"context"
	"errors"
	"io"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// offset is a place in one of the files of a fileLog, in bytes.
type offset struct {
	file int
	off  int64
}

// match finds the newest place in a log behind an anchor.
type match struct {
	target *position.Position
	within bool            // others may come before what is fed
	replay position.Anchor // what was fed
	best   uint8           // marks that agreed at most
	at     offset          // where they did
	whole  bool            // they are all that there are
	newer  offset          // of the first record whose time is after the anchor's
	isNew  bool            // there is one
}

func (m *match) feed(p offset, e *decode.Entry) error {
	m.replay.Push(position.MarkOf(e))
	first := m.within && m.replay.N == 1 // of a run that may have begun before, the length proves nothing
	if agreed := m.replay.Agree(&m.target.Anchor); agreed > 0 && agreed >= m.best && !first {
		m.best, m.at = agreed, offset{p.file, e.Place.End}
		m.whole = agreed == m.target.Anchor.N || agreed == m.replay.N
	}
	if !m.isNew && e.TS > m.target.Anchor.Time() {
		m.newer, m.isNew = p, true
	}
	return nil
}

// back is the place so many bytes before the end of the log: in a compressed
// file its beginning.
func (l *fileLog) back(window int64) offset {
	for i := len(l.files) - 1; i >= 0; i-- {
		f := l.files[i]
		size := f.size()
		switch {
		case window >= size:
			window -= size
		case f.zip != nil:
			return offset{i, 0}
		default:
			return offset{i, size - window}
		}
	}
	return offset{}
}

// each calls f for each record in the files from a place on, with the record's
// own place, and returns the place of their end.
func (l *fileLog) each(ctx context.Context, files []*logFile, from offset, f func(offset, *decode.Entry) error) (at offset, err error) {
	lent, err := l.shared.buffers.lend(ctx)
	if err != nil {
		return from, err
	}
	defer l.shared.buffers.giveBack(lent)
	c := decode.JSONCutter{CRI: l.cut.CRI}
	at = from
	for i := from.file; i < len(files); i++ {
		file := files[i]
		off := from.off
		if i > from.file {
			off = 0
		}
		if err := file.startAt(off); err != nil {
			return at, err
		}
		inode := file.inode
		if file.zip != nil {
			inode = 0
		}
		each := func(e *decode.Entry) error { return f(offset{i, e.Place.End - int64(e.Place.Size)}, e) }
		buf := lent.bytes
		for eof := false; !eof; {
			if ctx.Err() != nil {
				return at, context.Cause(ctx)
			}
			b, err := file.read(buf)
			if eof = errors.Is(err, io.EOF); err != nil && !eof {
				return at, err
			}
			at = offset{i, file.off}
			n, err := c.Each(b, inode, file.off, each)
			switch {
			case err != nil:
				return at, err
			}
			if file.consumed(b, n); n == 0 && !eof {
				buf = l.noRecord(file, b, buf)
			}
			at.off = file.off
		}
	}
	return at, nil
}
