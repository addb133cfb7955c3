package outbox

import (
	"slices"

	"fluent-bit-docker-logs/capture/position"
)

// Commit is the position of a source behind its last record in a
// batch.
type Commit struct {
	Seat *Seat
	Pos  position.Position
}

// Source is who writes into an outbox. It is called with that locked.
type Source interface {
	// Snapshot is the position behind the last record that it has written.
	Snapshot() position.Position
}

// Seat is what an outbox keeps of a source, guarded by its lock. It is part of the
// source and not copied.
type Seat struct {
	Source    Source
	Committed position.Position // behind the last record that Fluent Bit holds
	inBatch   *Batch            // the open batch with records of the source
	batches   int               // that have records of it and were not acknowledged
	news      bool              // it is in outbox.news
}

// CutBack takes what there is of half a record off the open batch.
func (s *Seat) CutBack() {
	if b := s.inBatch; b != nil {
		b.Buf = b.Buf[:b.whole]
	}
}

// Waits says whether records of the source were not acknowledged yet.
func (s *Seat) Waits() bool { return s.batches > 0 }

// commit moves the position of a source that a restart goes on from. o.mu is held.
func (o *Outbox) commit(s *Seat, pos position.Position) {
	s.Committed = pos
	o.changed = true
	if o.Journaled != nil && !s.news {
		s.news = true
		o.news = append(o.news, s)
	}
}

// Moved says that a position may be committed that was not before. The outbox is
// locked.
func (o *Outbox) Moved() { o.changed = true }

// TakeMoved says whether that was so since the last call. The outbox is locked.
func (o *Outbox) TakeMoved() bool {
	changed := o.changed
	o.changed = false
	return changed
}

// TakeCommitted returns the positions that were committed since the last call.
func (o *Outbox) TakeCommitted() []Commit {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Commit, 0, len(o.news))
	for _, s := range o.news {
		s.news = false
		all = append(all, Commit{s, s.Committed})
	}
	clear(o.news)
	o.news = o.news[:0]
	return all
}

// Untaken returns the sources that have records in batches that were not
// acknowledged, each once.
func (o *Outbox) Untaken() (all []Source) {
	o.mu.Lock()
	defer o.mu.Unlock()
	add := func(s *Seat) {
		if !slices.Contains(all, s.Source) {
			all = append(all, s.Source)
		}
	}
	for _, batches := range [][]*Batch{o.unacked, o.sealed, o.order} {
		for _, b := range batches {
			for _, s := range b.seats {
				add(s)
			}
			for _, c := range b.commits {
				add(c.Seat)
			}
		}
	}
	return all
}
