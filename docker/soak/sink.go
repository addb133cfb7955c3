package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// sink is a named pipe that the agent's output writes its records to, one JSON object a line. They are counted as they
// come, and none is kept.
type sink struct {
	path   string
	pipe   *os.File
	done   chan struct{} // closed when the reader is back
	failed error         // read after done only
}

// end is the line behind the agent's last one.
const end = "end"

func newSink(dir string, t *tally) (*sink, error) {
	s := &sink{path: filepath.Join(dir, "records"), done: make(chan struct{})}
	if err := syscall.Mkfifo(s.path, 0o600); err != nil {
		return nil, fmt.Errorf("pipe for the records: %w", err)
	}
	var err error
	// For reading and writing: it has no end whenever the agent closes it between two flushes.
	if s.pipe, err = os.OpenFile(s.path, os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.done)
		s.failed = s.read(t)
	}()
	return s, nil
}

// entry is a record as Fluent Bit's file output writes it in the format "plain"; flbhost puts it into a record of its own.
type entry struct {
	Log         string `json:"log"`
	Stream      string `json:"stream"`
	ContainerID string `json:"container_id"`
	Record      *entry `json:"record"`
}

func (s *sink) read(t *tally) error {
	r := bufio.NewReaderSize(s.pipe, 256<<10)
	for {
		line, err := r.ReadBytes('\n')
		switch {
		case errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return err
		case string(line) == end+"\n":
			return nil
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("record %.100q: %w", line, err)
		}
		if e.Record != nil {
			e = *e.Record
		}
		t.see(e.ContainerID, e.Stream, e.Log)
	}
}

// finish reads what is left behind an agent that has ended.
func (s *sink) finish(ctx context.Context) error {
	_, err := s.pipe.WriteString(end + "\n")
	if err == nil {
		select {
		case <-s.done:
		case <-ctx.Done():
			err = fmt.Errorf("the records do not come to their end: %w", ctx.Err())
		}
	}
	_ = s.pipe.Close()
	<-s.done
	return errors.Join(err, s.failed)
}
