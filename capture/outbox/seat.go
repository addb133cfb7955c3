package outbox

import (
	"fluent-bit-docker-logs/capture/position"
)

// Commit is a source's position behind its last record in a batch.
type Commit struct {
	Seat *Seat
	Pos  position.Position
}

// Source is who writes into an outbox. It is called with that locked.
type Source interface {
	// Snapshot is the position behind the last record that it has written.
	Snapshot() position.Position
}

// Seat is what an outbox keeps of a source. Its lock guards it. It is part of the
// source and not copied.
type Seat struct {
	Source    Source
	Committed position.Position // behind the last record that Fluent Bit holds
	inBatch   *Batch            // the open batch with records of the source
	batches   int               // that have records of it and were not acknowledged
	news      bool              // it is in outbox.news
}

// CutBack takes half a record off the open batch.
func (s *Seat) CutBack() {
	if b := s.inBatch; b != nil {
		b.Buf = b.Buf[:b.whole]
	}
}

// Waits says whether records of the source were not acknowledged yet.
func (s *Seat) Waits() bool { return s.batches > 0 }

// committed is what may be committed that was not before. It is guarded by the
// outbox's lock.
type committed struct {
	Journaled chan<- struct{} // capacity 1; told of commits; nil without a journal. Set before the first use
	changed   bool            // since TakeMoved
	news      []*Seat         // whose position was committed since TakeCommitted
}

// commit moves the position of a source that a restart goes on from.
func (c *committed) commit(s *Seat, pos position.Position) {
	s.Committed = pos
	c.changed = true
	if c.Journaled != nil && !s.news {
		s.news = true
		c.news = append(c.news, s)
	}
}

// Moved says that a position may be committed that was not before. The outbox is
// locked.
func (c *committed) Moved() { c.changed = true }

// TakeMoved says whether that was so since the last call. The outbox is locked.
func (c *committed) TakeMoved() bool {
	changed := c.changed
	c.changed = false
	return changed
}
