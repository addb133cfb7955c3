package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The std streams of a container, as the Engine numbers them in a frame
// header (moby: pkg/stdcopy).
const (
	stdout    = 1
	stderr    = 2
	systemerr = 3
)

const (
	frameHeaderSize = 8
	// maxFrame bounds what one frame may hold. The Engine stores at most
	// 16 KiB of a line in a record, three times that after it replaced
	// invalid UTF-8; anything far beyond is no frame at all.
	maxFrame = 1 << 20
	// chunkSize is where the Engine splits a long line (moby:
	// daemon/logger/copier.go). A record without newline that is shorter
	// ends its line: the container exited.
	chunkSize = 16 << 10
)

// entry is one record as the Engine stores it: a line, or a partial of a
// line longer than chunkSize. text is valid until the buffer it was cut from
// is read into again.
type entry struct {
	std     uint8 // stdout or stderr
	newline bool  // the record ended in a newline, which text no longer has
	ts      int64 // nanoseconds since 1970, given by the Engine
	text    []byte
	spot    spot // of a record that was read from a file
}

var (
	errBadFrame = errors.New("bytes that are no log frame")
	errBadTime  = errors.New("log record without a timestamp")
)

// systemError is what the Engine reports in the middle of a stream, such as
// "Error grabbing logs: ...". It is never part of a container's log.
type systemError string

func (e systemError) Error() string { return "the Engine reports: " + string(e) }

// cutFrame cuts the first stdcopy frame off b (API documentation,
// "ContainerAttach: stream format", with timestamps=1) and returns how many
// bytes it took: 0 when b does not hold a whole frame yet.
func cutFrame(b []byte) (e entry, n int, err error) {
	if len(b) < frameHeaderSize {
		return entry{}, 0, nil
	}
	if b[0] > systemerr || b[1]|b[2]|b[3] != 0 {
		return entry{}, 0, fmt.Errorf("%w: header % x", errBadFrame, b[:frameHeaderSize])
	}
	size := binary.BigEndian.Uint32(b[4:])
	if size > maxFrame {
		return entry{}, 0, fmt.Errorf("%w: length %d", errBadFrame, size)
	}
	n = frameHeaderSize + int(size)
	if len(b) < n {
		return entry{}, 0, nil
	}
	body := b[frameHeaderSize:n]
	if b[0] == systemerr {
		return entry{}, n, systemError(bytes.TrimSpace(body))
	}
	ts, text, ok := cutTime(body)
	if !ok {
		return entry{}, n, fmt.Errorf("%w: %.60q", errBadTime, body)
	}
	e = entry{std: b[0], ts: ts, text: text}
	if e.std == 0 { // stdin, which the Engine's own copier treats as stdout
		e.std = stdout
	}
	if k := len(text) - 1; k >= 0 && text[k] == '\n' {
		e.text, e.newline = text[:k], true
	}
	return e, n, nil
}

// ttyCutter cuts records out of the log of a container with a TTY, which has
// no frames: "timestamp text\r\n" one after the other. The partials of a long
// line follow each other without a newline, each with the line's timestamp.
type ttyCutter struct {
	// startedAt is when the container's present run began, 0 if unknown:
	// text that an earlier run left unterminated is glued to the first
	// record of the next, whose timestamp then stands in the middle.
	startedAt int64
}

// cut cuts the first record off b and returns how many bytes it took: 0 when
// b does not hold a whole record yet. At the end of the log (eof) what is
// left is the last record.
func (t ttyCutter) cut(b []byte, eof bool) (e entry, n int, err error) {
	if len(b) == 0 || (len(b) < timeSize+1 && !eof) {
		return entry{}, 0, nil
	}
	ts, text, ok := cutTime(b)
	if !ok {
		return entry{}, len(b), fmt.Errorf("%w: %.60q", errBadTime, b)
	}
	prefix := b[:timeSize+1]
	nl := bytes.IndexByte(text, '\n')
	end := nl
	if end < 0 {
		end = len(text)
	}
	e = entry{std: stdout, ts: ts}
	// A further partial of the same line begins with the same timestamp.
	if end >= chunkSize {
		if i := bytes.Index(text[chunkSize:end], prefix); i >= 0 {
			e.text = text[:chunkSize+i]
			return e, len(prefix) + len(e.text), nil
		}
	}
	if i := t.gluedRecord(text[:end], ts); i >= 0 {
		e.text = text[:i]
		return e, len(prefix) + i, nil
	}
	switch {
	case nl >= 0:
		e.text, e.newline = text[:nl], true
		return e, len(prefix) + nl + 1, nil
	case eof:
		e.text = text
		return e, len(b), nil
	case len(b) > maxFrame:
		return entry{}, len(b), fmt.Errorf("%w: %d bytes without a record's end", errBadFrame, len(b))
	}
	return entry{}, 0, nil
}

// gluedRecord finds where the first record of the container's present run
// begins in the unterminated text of an earlier run, -1 if nowhere.
func (t ttyCutter) gluedRecord(text []byte, ts int64) int {
	// The first lines may carry a time just before StartedAt.
	const slack = int64(2e9)
	if t.startedAt == 0 || ts >= t.startedAt-slack {
		return -1
	}
	for i := 0; i+timeSize < len(text); i++ {
		if text[i] < '0' || text[i] > '9' {
			continue
		}
		if next, _, ok := cutTime(text[i:]); ok && next >= t.startedAt-slack {
			return i
		}
	}
	return -1
}
