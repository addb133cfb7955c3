package file

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

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
