package enginetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
)

// Line is one line as `docker logs` gives it.
type Line struct {
	Std  string    // stdout or stderr
	Time time.Time // the Engine's, of the line's first piece
	Text string    // without its LF, on a TTY without its CR LF
}

// Logs reads the whole log without following it. It is in the Engine's order, pieces of long lines joined.
func (c *Container) Logs() []Line {
	c.t.Helper()
	var lines []Line
	c.do("read the log of", func(ctx context.Context) (err error) {
		lines, err = c.read(ctx)
		return err
	})
	return lines
}

func (c *Container) read(ctx context.Context) ([]Line, error) {
	stamped, err := c.fetch(ctx, true, "all")
	if err != nil {
		return nil, err
	}
	if !c.tty {
		return parseFrames(bytes.NewReader(stamped))
	}
	// On a TTY each further piece of a long line has a timestamp of its own in the middle of the text, at a place that
	// cannot be told from text; so the text comes from a second request.
	plain, err := c.fetch(ctx, false, "all")
	if err != nil {
		return nil, err
	}
	return parseTTY(plain, stamped)
}

// fetch reads the log's last records, or "all", as the API sends them.
func (c *Container) fetch(ctx context.Context, timestamps bool, tail string) ([]byte, error) {
	r, err := c.engine.ContainerLogs(ctx, c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: timestamps, Tail: tail})
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

// parseFrames reads `[std,0,0,0,length BE32]` frames, each holding a timestamp, a space and a piece of a line.
func parseFrames(r io.Reader) ([]Line, error) {
	var lines []Line
	open := map[string]*Line{} // the unfinished line of each std
	finish := func(l *Line) {
		lines = append(lines, *l)
		delete(open, l.Std)
	}
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		payload := make([]byte, binary.BigEndian.Uint32(header[4:]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return nil, err
		}
		std := map[byte]string{1: "stdout", 2: "stderr"}[header[0]]
		if std == "" {
			return nil, fmt.Errorf("frame of type %d: %q", header[0], payload)
		}
		at, text, err := cutTime(string(payload))
		if err != nil {
			return nil, err
		}
		l := open[std]
		if l != nil && !l.Time.Equal(at) {
			finish(l) // the container was ended in the middle of the line: the next one has a time of its own
			l = nil
		}
		if l == nil {
			l = &Line{Std: std, Time: at}
			open[std] = l
		}
		text, ended := strings.CutSuffix(text, "\n")
		l.Text += text
		if ended {
			finish(l)
		}
	}
	for _, l := range open {
		finish(l)
	}
	return lines, nil
}

// parseTTY takes the text of each line from plain and its time from the head of the same line in stamped.
func parseTTY(plain, stamped []byte) ([]Line, error) {
	texts := strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n")
	heads := strings.Split(strings.TrimSuffix(string(stamped), "\n"), "\n")
	if len(plain) == 0 {
		return nil, nil
	}
	var lines []Line
	// Of a container that still writes, the later answer is the longer one.
	for i := range min(len(texts), len(heads)) {
		at, _, err := cutTime(heads[i])
		if err != nil {
			return nil, err
		}
		lines = append(lines, Line{Std: "stdout", Time: at, Text: strings.TrimSuffix(texts[i], "\r")})
	}
	return lines, nil
}

// cutTime cuts the timestamp and the space behind it off text.
func cutTime(text string) (time.Time, string, error) {
	stamp, rest, ok := strings.Cut(text, " ")
	if !ok {
		return time.Time{}, "", fmt.Errorf("no timestamp in %q", text)
	}
	at, err := time.Parse(time.RFC3339Nano, stamp)
	return at, rest, err
}
