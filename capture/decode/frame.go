package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Stdout and Stderr are std streams as the Engine numbers them. It does so in
// the header of a frame (moby: pkg/stdcopy).
const (
	Stdout    = 1
	Stderr    = 2
	systemerr = 3
)

const (
	frameHeaderSize = 8
	// MaxFrame bounds what one frame may hold. The Engine stores at most
	// 16 KiB of a line in a record, three times that after it replaced
	// invalid UTF-8; anything far beyond is no frame at all.
	MaxFrame = 1 << 20
	// hugeFrame is up to where a frame that is larger is left out; a header that
	// promises even more is none.
	hugeFrame = 64 * MaxFrame
	// ChunkSize is where the Engine splits a long line (moby:
	// daemon/logger/copier.go). A record without newline that is shorter
	// ends its line: the container exited.
	ChunkSize = 16 << 10
)

// Entry is one record as the Engine stores it. It is a line, or a partial of a
// line longer than ChunkSize. text is valid until the buffer it was cut from is
// read into again.
type Entry struct {
	Std     uint8 // Stdout or Stderr
	Newline bool  // the record ended in a newline, which text no longer has
	Piece   bool  // its line goes on, whatever its size
	TS      int64 // nanoseconds since 1970, given by the Engine, or undated
	Text    []byte
	Place   Place // of a record that was read from a file
}

// GoesOn says whether the line goes on behind the record. What a container of
// Docker left without a newline when it exited is told by its size from a piece.
func (e *Entry) GoesOn() bool { return !e.Newline && (e.Piece || len(e.Text) >= ChunkSize) }

// ErrBadFrame is why bytes were refused: a frame cannot begin there.
var ErrBadFrame = errors.New("bytes that are no log frame")

// SystemError is what the Engine reports in the middle of a stream. An example
// is "Error grabbing logs: ...". It is never part of a container's log.
type SystemError string

// Error implements error.
func (e SystemError) Error() string { return "the Engine reports: " + string(e) }

// CutFrame cuts the first frame off b. Frames are those of stdcopy with
// timestamps=1 (API documentation, "ContainerAttach: stream format"). It
// returns how many bytes it took: 0 when b does not hold a whole frame yet. An
// entry without an std stands for a frame that holds no record: it is to be
// left out, although it may be larger than b.
func CutFrame(b []byte) (e Entry, n int, err error) {
	if len(b) < frameHeaderSize {
		return Entry{}, 0, nil
	}
	size := binary.BigEndian.Uint32(b[4:])
	n = frameHeaderSize + int(size)
	switch {
	case b[1]|b[2]|b[3] != 0 || size > hugeFrame:
		return Entry{}, 0, fmt.Errorf("%w: header % x", ErrBadFrame, b[:frameHeaderSize])
	case size > MaxFrame || size == 0 || b[0] > systemerr:
		return Entry{}, n, nil
	}
	if len(b) < n {
		return Entry{}, 0, nil
	}
	body := b[frameHeaderSize:n]
	if b[0] == systemerr {
		return Entry{}, n, SystemError(bytes.TrimSpace(body))
	}
	ts, text, _ := CutTime(body)
	e = Entry{Std: b[0], TS: ts, Text: text}
	if e.Std == 0 { // stdin, which the Engine's own copier treats as stdout
		e.Std = Stdout
	}
	if k := len(text) - 1; k >= 0 && text[k] == '\n' {
		e.Text, e.Newline = text[:k], true
	}
	return e, n, nil
}

// nextFrame is how many bytes of b stand before the next frame that holds a
// dated record, if one is found; else how many can be left out.
func nextFrame(b []byte, eof bool) (n int, found bool) {
	const enough = frameHeaderSize + maxTimeSize + 1
	n = 1
	for ; n+enough <= len(b) || (eof && n+frameHeaderSize < len(b)); n++ {
		if h := b[n:]; h[0]-1 < 2 && h[1]|h[2]|h[3] == 0 && binary.BigEndian.Uint32(h[4:]) <= MaxFrame {
			if _, _, ok := CutTime(h[frameHeaderSize:]); ok {
				return n, true
			}
		}
	}
	return min(n, len(b)), false
}
