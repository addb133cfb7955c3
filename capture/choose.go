package capture

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// The values of the option Reader.
const (
	readerAuto   = "auto"   // the file where it can be read, else the API
	readerFile   = "file"   // the file or nothing
	readerFollow = "follow" // the API
)

// readerNotes is what a stream remembers of its reads, so that it says each
// thing once. Only the stream's goroutine uses it.
type readerNotes struct {
	reader     string // what was last said of the choice
	saidDamage bool
	saidGap    time.Time
	gaps       int // since saidGap
}

// readBy reads the log in the way that the option Reader and the container
// allow. The position is the same in both ways.
func (s *stream) readBy(ctx context.Context, follow bool) error {
	choice := s.col.cfg.Reader
	if choice == readerFollow {
		return s.follow.read(ctx, s, follow)
	}
	err := s.file.read(ctx, s, follow)
	if !errors.Is(err, errNoFile) || choice == readerFile {
		return err
	}
	s.sayReader("the log is read through the Engine's API", "reason", err)
	return s.follow.read(ctx, s, follow)
}

// sayReader says how the log is read, once until that changes.
func (s *stream) sayReader(text string, args ...any) {
	if s.notes.reader != text {
		s.notes.reader = text
		s.log.Log(context.Background(), slog.LevelInfo, text, args...)
	}
}
