package capture

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// firstWindow is how many bytes back a log's files are searched for a
// position at first; further times as many after that did not suffice.
const firstWindow = 64 << 10

// place is an offset in one of the files of a fileLog.
type place struct {
	file int
	off  int64
}

// seek finds the stream's position in the files. What is older is closed.
func (l *fileLog) seek(ctx context.Context) error {
	target := l.s.position()
	var at place
	var err error
	switch target.kind {
	case fromBeginning:
	default:
		var ok bool
		if at, ok = l.spot(&target); !ok {
			at, err = l.search(ctx, &target)
		}
	}
	if err != nil {
		return err
	}
	closeAll(l.files[:at.file])
	l.files = l.files[at.file:]
	for i, f := range l.files {
		if i > 0 {
			at.off = 0
		}
		if err := f.startAt(at.off); err != nil {
			return err
		}
	}
	return nil
}

// spot looks where the newest record of the anchor was read, for it to be
// there still.
func (l *fileLog) spot(target *position) (place, bool) {
	at := target.spot
	if target.kind != fromAnchor || at.Inode == 0 || at.Size > maxFrame || int64(at.Size) > at.End {
		return place{}, false
	}
	newest := target.anchor.newest()
	for i, f := range l.files {
		if f.inode != at.Inode || f.zip != nil {
			continue
		}
		line := make([]byte, at.Size)
		if _, err := f.f.ReadAt(line, at.End-int64(at.Size)); err != nil {
			return place{}, false
		}
		var c recordCutter
		if !c.parse(bytes.TrimSuffix(line, []byte("\n"))) {
			return place{}, false
		}
		m := markOf(&c.e)
		return place{i, at.End}, m.same(&newest)
	}
	return place{}, false
}

// search reads the files from further and further back until the position is
// in view.
func (l *fileLog) search(ctx context.Context, target *position) (place, error) {
	depth := target.anchor.n
	for window := int64(firstWindow); ; {
		from := l.back(window)
		whole := from == place{}
		r := newResync(target, everything)
		r.whole, r.depth = whole, depth
		at, err := l.scan(ctx, from, r)
		switch {
		case err != nil && !errors.Is(err, errTooShort):
			return place{}, err
		case err == nil && (r.found || (target.kind == fromTime && r.inView())):
			return at, nil
		case !whole:
			window *= further
		case r.best > 0 && r.best < depth:
			// The log begins behind the oldest marks of the anchor.
			depth = r.best
		default:
			if err := l.s.reportGap(ctx, &target.anchor); err != nil {
				return place{}, err
			}
			again := l.s.position()
			target, window = &again, firstWindow
		}
	}
}

// back is the place so many bytes before the end of the log: in a compressed
// file its beginning.
func (l *fileLog) back(window int64) place {
	for i := len(l.files) - 1; i >= 0; i-- {
		f := l.files[i]
		size := f.size()
		switch {
		case window >= size:
			window -= size
		case f.zip != nil:
			return place{i, 0}
		default:
			return place{i, size - window}
		}
	}
	return place{}
}

var errFound = errors.New("the position was found")

// scan feeds r from a place on, to the end of the log. It returns the place
// of the first record that is to be delivered, or of the end.
func (l *fileLog) scan(ctx context.Context, from place, r *resync) (at place, err error) {
	end, err := l.each(ctx, from, func(p place, e *entry) error {
		deliver, short := r.feed(e)
		switch {
		case short:
			return errTooShort
		case deliver:
			at = p
			return errFound
		case r.found:
			at = place{p.file, e.spot.End}
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return at, nil
	}
	return end, err
}

// each calls f for each record from a place on, with the record's own place, to
// the end of the log, whose place it returns.
func (l *fileLog) each(ctx context.Context, from place, f func(place, *entry) error) (at place, err error) {
	lent, err := l.s.col.buffers.lend(ctx)
	if err != nil {
		return from, err
	}
	defer l.s.col.buffers.giveBack(lent)
	var c recordCutter
	at = from
	for i := from.file; i < len(l.files); i++ {
		file := l.files[i]
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
		each := func(e *entry) error { return f(place{i, e.spot.End - int64(e.spot.Size)}, e) }
		buf := lent.bytes
		for eof := false; !eof; {
			if ctx.Err() != nil {
				return at, context.Cause(ctx)
			}
			b, err := file.read(buf)
			if eof = errors.Is(err, io.EOF); err != nil && !eof {
				return at, err
			}
			at = place{i, file.off}
			n, err := c.each(b, inode, file.off, each)
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

// tail is the place before the last n records.
func (l *fileLog) tail(n int) (place, error) {
	for i := len(l.files) - 1; i >= 0; i-- {
		off, found, err := l.files[i].tail(n)
		if err != nil || found == n {
			return place{i, off}, err
		}
		n -= found
	}
	return place{}, nil
}

// tail returns the offset of the n-th line from the end, or how many lines
// the file has if it has fewer.
func (l *logFile) tail(n int) (off int64, found int, err error) {
	if l.zip != nil {
		return l.tailZipped(n)
	}
	buf := make([]byte, maxWindow)
	for end := l.size(); end > 0; {
		k := min(end, int64(len(buf)))
		b := buf[:k]
		if _, err := l.f.ReadAt(b, end-k); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		end -= k
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			if found == n {
				return end + int64(i) + 1, n, nil
			}
			found++
			b = b[:i]
		}
	}
	return 0, found, nil
}

// tailZipped is tail for a file that can only be read forward: once to count
// its lines, and again to find the one.
func (l *logFile) tailZipped(n int) (off int64, found int, err error) {
	if found, _, err = l.lines(-1); err != nil || found <= n {
		return 0, found, err
	}
	_, off, err = l.lines(found - n)
	return off, n, err
}

// lines counts lines, up to limit if that is not negative, and returns the
// offset behind the last one counted.
func (l *logFile) lines(limit int) (n int, off int64, err error) {
	if err := l.startAt(0); err != nil || limit == 0 {
		return 0, 0, err
	}
	buf := make([]byte, maxWindow)
	for {
		b, err := l.read(buf)
		for i, c := range b {
			if c != '\n' {
				continue
			}
			if n++; n == limit {
				return n, l.off + int64(i) + 1, nil
			}
		}
		l.consumed(b, len(b))
		if errors.Is(err, io.EOF) {
			return n, l.off, nil
		}
		if err != nil {
			return n, l.off, err
		}
	}
}
