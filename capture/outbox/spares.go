package outbox

import "time"

// spares are buffers that are kept to be used again. They are guarded by the
// outbox's lock.
type spares struct {
	batches []*Batch
	usedAt  time.Time // when one was handed over last
	lines   [][]byte  // of lines that were incomplete
}

// Batches are kept: as many as may wait and be under way at once, and restSpare
// where none was for so long.
const (
	restSpare = 8
	restAfter = 10 * time.Second
	underWay  = 48 // at most, whoever hands them over
)

// take returns an empty batch.
func (s *spares) take() *Batch {
	k := len(s.batches)
	if k == 0 {
		return &Batch{}
	}
	b := s.batches[k-1]
	s.batches = s.batches[:k-1]
	return b
}

// keep takes back a batch that is done with, of an outbox with such limits.
func (s *spares) keep(b *Batch, batchSize, limit int) {
	clear(b.commits)
	b.commits, b.Records, b.whole = b.commits[:0], 0, 0
	if len(s.batches) < restSpare+limit/batchSize+underWay && cap(b.Buf) <= 2*batchSize {
		b.Buf = b.Buf[:0]
		s.batches = append(s.batches, b)
	}
}

// shrink gives up most of the batches where none was handed over of late.
func (s *spares) shrink() {
	if len(s.batches) > restSpare && time.Since(s.usedAt) > restAfter {
		clear(s.batches[restSpare:])
		s.batches = s.batches[:restSpare]
	}
}

// Buffers for incomplete lines are shared by all streams and few are kept: long
// lines come one after the other.
const (
	maxSpareLines = 8
	maxSpareLine  = 64 << 10
)

// LineBuffer returns an empty buffer for an incomplete line. The outbox is locked.
func (s *spares) LineBuffer() []byte {
	k := len(s.lines)
	if k == 0 {
		return nil
	}
	b := s.lines[k-1]
	s.lines = s.lines[:k-1]
	return b[:0]
}

// FreeLine takes back a buffer of a line that is complete. The outbox is locked.
func (s *spares) FreeLine(b []byte) {
	if len(s.lines) < maxSpareLines && cap(b) > 0 && cap(b) <= maxSpareLine {
		s.lines = append(s.lines, b)
	}
}
