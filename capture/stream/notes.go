package stream

import (
	"log/slog"
	"sync"
)

// readerNotes is what a stream remembers of its reads, so that it says each
// thing once.
type readerNotes struct {
	mu      sync.Mutex
	reader  string // how the log is read; guarded by mu
	saidAPI bool   // guarded by mu
}

// note remembers how the log is read; changed says that it was not read so
// before.
func (n *readerNotes) note(reader string) (changed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed = n.reader != reader
	n.reader = reader
	return changed
}

// now is how the log is read, "" before it was.
func (n *readerNotes) now() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reader
}

// sayAPI says why the log is not read from its file, once until it was.
func (n *readerNotes) sayAPI(log *slog.Logger, reason error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.saidAPI {
		n.saidAPI = true
		log.Info("the log is read through the Engine's API", "reason", reason)
	}
}

// sayFile says that the log is read from its file, once until it was not.
func (n *readerNotes) sayFile(log *slog.Logger, path string) {
	if n.note(File) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.saidAPI = false
		log.Info("the log is read from its file", "path", path)
	}
}
