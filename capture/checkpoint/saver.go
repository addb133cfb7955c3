package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/supervise"
)

const (
	// JournalPace is the shortest time between two writes of the journal.
	JournalPace = 10 * time.Millisecond
	// journalShare is how many times longer than a write the pause after it is: with
	// very many containers that write at once the journal has megabytes.
	journalShare = 3
	// journalRetry is how long it takes until a journal that is full is begun anew, if
	// that has failed.
	journalRetry = time.Second
)

// savePace is how many times longer than a save the pause after it is at
// least: with ten thousand containers the file has megabytes.
const savePace = 20

// Saver writes positions into a File when it is time to.
type Saver struct {
	Task *supervise.Task // that saves

	opts SaverOptions
	file *File
	log  *slog.Logger
	soon chan struct{} // capacity 1
	at   atomic.Int64  // when what the file holds was last up to date, nanoseconds since 1970
}

// SaverOptions are what a Saver is made with.
type SaverOptions struct {
	File  *File
	Path  string        // of it, for messages
	Every time.Duration // DB_Sync
	// Content is what is to be saved, nil if nothing changed. Retry says that it
	// could not be.
	Content func() *Content
	Retry   func()
	// Commits are the positions that were committed since the last call.
	Commits   func() []Commit
	Committed <-chan struct{}    // says that there are some
	Errors    prometheus.Counter // times that something could not be saved
	Look      func()             // comes with each write
}

// TaskKind is the kind of a Saver's task, for metrics.
const TaskKind = "checkpoint"

// NewSaver makes one.
func NewSaver(o SaverOptions, log *slog.Logger) *Saver {
	s := &Saver{opts: o, file: o.File, log: log, soon: make(chan struct{}, 1)}
	s.at.Store(time.Now().UnixNano())
	s.Task = supervise.NewTask(TaskKind, log, s.run)
	return s
}

// Soon has it save at once.
func (s *Saver) Soon() { supervise.Poke(s.soon) }

// UpToDate is when what the file holds was up to date last.
func (s *Saver) UpToDate() time.Time { return time.Unix(0, s.at.Load()) }

// Fails says whether it cannot be written at the moment.
func (s *Saver) Fails() bool { return s.file.Trouble.Present() }

// run saves the positions while they change, until ctx is done, and at once when
// the Engine was found: what the first start was like must outlive an agent that is
// killed a moment later. In between it keeps the journal.
func (s *Saver) run(ctx context.Context) error {
	due := time.NewTimer(s.opts.Every)
	defer due.Stop()
	var next time.Time // of the journal's lines
	pause := time.NewTimer(JournalPace)
	defer pause.Stop()
	for {
		s.Task.Rest()
		line := false
		select {
		case <-due.C:
		case <-s.soon:
		case <-s.opts.Committed:
			if wait := time.Until(next); wait > 0 {
				pause.Reset(wait)
				continue
			}
			line = true
		case <-pause.C:
			line = true
		case <-ctx.Done():
			return nil
		}
		s.Task.Beat()
		s.opts.Look()
		began := time.Now()
		if line {
			s.journal()
			if !s.file.Full() {
				next = began.Add(max(JournalPace, journalShare*time.Since(began)))
				continue
			}
			next, began = began.Add(journalRetry), time.Now()
		}
		s.saveGuarded()
		due.Reset(max(s.opts.Every, savePace*time.Since(began)))
	}
}

// saveGuarded saves what changed and says, throttled, what goes wrong.
func (s *Saver) saveGuarded() {
	if err := supervise.Catch(s.save); err != nil {
		s.opts.Errors.Inc()
		s.file.Trouble.Report(s.log, fmt.Errorf("option DB: %s: %w", s.opts.Path, err))
		return
	}
	s.at.Store(time.Now().UnixNano())
	s.file.Trouble.Over(s.log)
}

// save writes what changed, if anything did.
func (s *Saver) save() error {
	cp := s.opts.Content()
	if cp == nil {
		return nil
	}
	err := s.file.Save(cp)
	if err != nil {
		s.opts.Retry()
	}
	return err
}

// journal writes down what was committed since the last time. That it fails is
// said with the file, which is saved for all the same.
func (s *Saver) journal() {
	commits := s.opts.Commits()
	if len(commits) == 0 {
		return
	}
	if err := supervise.Catch(func() error { return s.file.Write(commits) }); err != nil {
		s.opts.Errors.Inc()
		s.file.Trouble.Report(s.log, fmt.Errorf("option DB: %w", err))
	}
}

// Close saves once more and closes the file. The task has returned.
func (s *Saver) Close() error {
	err := supervise.Catch(s.save)
	if err != nil {
		err = fmt.Errorf("option DB: saving the positions in %s: %w", s.opts.Path, err)
	} else {
		err = s.file.Finish()
	}
	return errors.Join(err, s.file.Close())
}

// Abandon is Close where another may use the file already.
func (s *Saver) Abandon() { s.file.Abandon() }
