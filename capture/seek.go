package capture

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
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
	if target.Kind != position.FromBeginning {
		var err error
		var ok bool
		if at, ok = l.spot(&target); !ok {
			if at, err = l.search(ctx, &target); err != nil {
				return err
			}
		}
	}
	for _, f := range l.files[:at.file] {
		if !f.trusted { // it may be met again
			l.meet(f)
		}
	}
	l.drop(0, at.file)
	for i, f := range l.files {
		f.placed = i == 0
		if i > 0 {
			at.off = 0
		}
		if err := f.startAt(at.off); err != nil {
			return err
		}
	}
	if l.moved != nil {
		l.files[0].placed = false
		l.files, l.moved = append([]*logFile{l.moved}, l.files...), nil
	}
	return nil
}

// choose closes the files that are no part of the log, unless the position is
// known to be in one of them.
func (l *fileLog) choose() {
	keeps := max(1, l.s.container().MaxFile)
	for _, f := range l.files {
		f.trusted = f.rotated < keeps
	}
	if l.s.position().Kind != position.FromAnchor {
		l.leaveOut(keeps)
	}
}

// leaveOut closes the files that are no part of the log: the Engine shows no
// more rotated files than it keeps, whatever others lie there. If the current
// file is empty, the writer may go on in the one that was moved away last: that
// one is kept, read to its end.
func (l *fileLog) leaveOut(keeps int) {
	n := 0
	for n < len(l.files)-1 && l.files[n].rotated >= keeps {
		n++
	}
	if last := l.files[max(0, n-1)]; n == len(l.files)-1 && n > 0 && last.zip == nil && l.files[n].size() == 0 {
		if err := last.startAt(last.size()); err == nil {
			last.placed, n = true, n-1
			l.moved = last
		}
	}
	l.drop(0, n)
	if l.moved != nil {
		l.files = l.files[1:]
	}
}

// spot looks where the newest record of the anchor was read, for it to be
// there still.
func (l *fileLog) spot(target *position.Position) (place, bool) {
	for i, f := range l.files {
		if f.inode == target.Place.Inode && f.zip == nil {
			return place{i, target.Place.End}, f.holds(target)
		}
	}
	return place{}, false
}

// holds says whether the newest record of the anchor is where it was read.
func (l *logFile) holds(target *position.Position) bool {
	at := target.Place
	if target.Kind != position.FromAnchor || at.Inode == 0 || at.Size > decode.MaxFrame || int64(at.Size) > at.End {
		return false
	}
	line := make([]byte, at.Size)
	var from io.Reader = io.NewSectionReader(l.f, at.End-int64(at.Size), int64(at.Size))
	if l.zip != nil {
		z, err := gzip.NewReader(io.NewSectionReader(l.f, 0, 1<<62))
		if err != nil {
			return false
		}
		if _, err := io.CopyN(io.Discard, z, at.End-int64(at.Size)); err != nil {
			return false
		}
		from = z
	}
	c := decode.JSONCutter{CRI: l.cri}
	if _, err := io.ReadFull(from, line); err != nil || !c.Parse(bytes.TrimSuffix(line, []byte("\n"))) {
		return false
	}
	m, newest := position.MarkOf(&c.Entry), target.Anchor.Newest()
	return m.Same(&newest)
}

// search looks for the anchor in more and more of the files. It takes the
// newest place that agrees: a copy of a file holds it too.
func (l *fileLog) search(ctx context.Context, target *position.Position) (place, error) {
	for window := int64(firstWindow); ; window *= position.Further {
		from := l.back(window)
		whole := from == place{}
		m := match{target: target}
		if _, err := l.each(ctx, l.files, from, m.feed); err != nil {
			return place{}, err
		}
		switch {
		case m.best == target.Anchor.N, whole && m.best > 0: // or the log begins behind the anchor's oldest marks
			return m.at, nil
		case !whole:
			continue
		}
		c := l.copyOf(target)
		if c == nil {
			return place{}, l.s.reportGap(ctx, &target.Anchor)
		}
		l.lost(slog.LevelWarn, truncatedUnread, nil)
		for _, f := range l.files {
			f.trusted = false
		}
		l.files = append([]*logFile{c}, l.files...)
		return place{0, c.off}, nil
	}
}

// match finds the newest place in a log behind an anchor.
type match struct {
	target *position.Position
	replay position.Anchor // what was fed
	best   uint8           // marks that agreed at most
	at     place           // where they did
	whole  bool            // they are all that there are
	newer  place           // of the first record whose time is after the anchor's
	isNew  bool            // there is one
}

func (m *match) feed(p place, e *decode.Entry) error {
	m.replay.Push(position.MarkOf(e))
	if agreed := m.replay.Agree(&m.target.Anchor); agreed > 0 && agreed >= m.best {
		m.best, m.at = agreed, place{p.file, e.Place.End}
		m.whole = agreed == m.target.Anchor.N || agreed == m.replay.N
	}
	if !m.isNew && e.TS > m.target.Anchor.Time() {
		m.newer, m.isNew = p, true
	}
	return nil
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

// each calls f for each record in the files from a place on, with the record's
// own place, and returns the place of their end.
func (l *fileLog) each(ctx context.Context, files []*logFile, from place, f func(place, *decode.Entry) error) (at place, err error) {
	lent, err := l.s.col.buffers.lend(ctx)
	if err != nil {
		return from, err
	}
	defer l.s.col.buffers.giveBack(lent)
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
		each := func(e *decode.Entry) error { return f(place{i, e.Place.End - int64(e.Place.Size)}, e) }
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
	buf := make([]byte, decode.MaxWindow)
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
	buf := make([]byte, decode.MaxWindow)
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
