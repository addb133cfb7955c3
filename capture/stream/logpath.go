package stream

import (
	"context"
	"fmt"

	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/file"
)

// tryFile says whether the log's file can be opened.
func (s *stream) tryFile(ctx context.Context) error {
	path, err := s.logPath(ctx)
	if err != nil {
		return err
	}
	if s.ofFile.IsAlien() {
		return fmt.Errorf("%w: %s does not hold its records", reader.ErrNoFile, path)
	}
	return file.Openable(path)
}

// errParked says why a file is not opened that could be.
var errParked = fmt.Errorf("%w: too many files are open (FD_Limit)", reader.ErrNoFile)

// logPath is the path of the container's log file, if it has one that can be
// reached from here.
func (s *stream) logPath(ctx context.Context) (string, error) {
	c := s.container()
	switch {
	case !c.HasFile() && s.all.Reader == File:
		return "", fmt.Errorf("%w from a file (option Reader), its driver is %s", engine.ErrUnreadable, c.Driver)
	case !c.HasFile():
		return "", fmt.Errorf("%w: the log driver is %s", reader.ErrNoFile, c.Driver)
	case !s.all.Local:
		return "", fmt.Errorf("%w: the Engine is not on this host", reader.ErrNoFile)
	case c.LogPath == "":
		// Before its first start the Engine did not name it. Another question
		// may be one too many for a container that lives for milliseconds.
		if path := s.all.files.LikelyPath(s.id); path != "" {
			return path, nil
		}
		var err error
		if c, err = s.ask(ctx); err != nil {
			return "", err
		}
		s.task.Beat()
		if c.LogPath == "" {
			return "", fmt.Errorf("%w: the Engine names none", reader.ErrNoFile)
		}
	}
	return c.LogPath, nil
}

// fileAppeared says whether a log that is read through the API could be read
// from its file by now.
func (s *stream) fileAppeared() bool {
	c := s.container()
	if s.all.Reader != Auto || s.parked.Load() || s.ofFile.IsAlien() || s.notes.now() == File ||
		!c.HasFile() || c.LogPath == "" || !s.all.Local {
		return false
	}
	return file.Openable(c.LogPath) == nil
}
