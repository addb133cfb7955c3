package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// logPath is the path of the container's log file, if it has one that can be
// reached from here.
func (s *stream) logPath(ctx context.Context) (string, error) {
	c := s.container()
	switch {
	case c.Driver != "json-file" && s.col.cfg.Reader == readerFile:
		return "", fmt.Errorf("%w from a file (option Reader), its driver is %s", errUnreadable, c.Driver)
	case c.Driver != "json-file":
		return "", fmt.Errorf("%w: the log driver is %s", errNoFile, c.Driver)
	case !strings.HasPrefix(s.col.cfg.DockerHost, "unix://"):
		return "", fmt.Errorf("%w: the Engine is not on this host", errNoFile)
	case c.LogPath == "":
		// Before its first start the Engine did not name it. Another question
		// may be one too many for a container that lives for milliseconds.
		if path := s.col.likelyLogPath(s.id); path != "" {
			return path, nil
		}
		var err error
		if c, err = s.col.api.inspect(ctx, s.id); err != nil {
			return "", err
		}
		s.describe(c)
		if c.LogPath == "" {
			return "", fmt.Errorf("%w: the Engine names none", errNoFile)
		}
	}
	return c.LogPath, nil
}

// noteLogDir remembers where the Engine keeps its log files.
func (c *Collector) noteLogDir(id, path string) {
	if dir, ok := strings.CutSuffix(path, logPathIn("", id)); ok && c.logDir.Load() == nil {
		c.logDir.Store(&dir)
	}
}

// likelyLogPath is where a container's log file is if the Engine keeps it where
// it keeps others; "" if there is none.
func (c *Collector) likelyLogPath(id string) string {
	dir := c.logDir.Load()
	if dir == nil {
		return ""
	}
	path := logPathIn(*dir, id)
	if _, err := inodeOf(path); err != nil {
		return ""
	}
	return path
}

func logPathIn(dir, id string) string { return dir + "/" + id + "/" + id + "-json.log" }
