package position

import (
	"time"

	"github.com/cespare/xxhash/v2"

	"fluent-bit-docker-logs/capture/decode"
)

// AnchorDepth is how many runs of equal log records an anchor remembers.
// One record nearly always suffices, since the Engine's timestamps have
// nanoseconds; the others tell apart records that are equal to the last byte.
const AnchorDepth = 8

// Mark stands for a run of equal records in a log. They follow each other.
type Mark struct {
	TS    int64  `json:"ts"`   // nanoseconds since 1970, or undated
	Hash  uint64 `json:"hash"` // xxhash64 of the text without its line end
	Size  uint32 `json:"size"` // of the text in bytes
	Std   uint8  `json:"std"`  // Stdout or Stderr
	Count uint32 `json:"run"`  // how many records the run has so far
}

// Same says whether two marks stand for equal records, whatever their number.
func (m *Mark) Same(o *Mark) bool {
	return m.TS == o.TS && m.Hash == o.Hash && m.Size == o.Size && m.Std == o.Std
}

// Is says whether two marks can stand for the same record. Podman's API has whole
// seconds where its log file, or a later version, has nanoseconds.
func (m *Mark) Is(o *Mark) bool {
	return m.Hash == o.Hash && m.Size == o.Size && m.Std == o.Std &&
		(m.TS == o.TS || (isWhole(m.TS) || isWhole(o.TS)) && m.TS/second == o.TS/second)
}

const second = int64(time.Second)

// isWhole says whether a timestamp is one of whole seconds, which one of
// nanoseconds is once in a lifetime.
func isWhole(ts int64) bool { return ts > 0 && ts%second == 0 }

// MarkOf is the mark of one record.
func MarkOf(e *decode.Entry) Mark {
	return Mark{TS: e.TS, Hash: xxhash.Sum64(e.Text), Size: uint32(len(e.Text)), Std: e.Std, Count: 1}
}

// Anchor is the last records consumed of a container's log. They are in the
// order of the log. Found again in the log, it says exactly where to go on,
// whatever the timestamps do. The zero anchor is before the first record.
type Anchor struct {
	Marks [AnchorDepth]Mark // a ring
	N     uint8             // marks in use
	Last  uint8             // index of the newest
	// Nth is which of the records with its timestamp, that follow each other, the
	// newest is, counted from 1; 0: not known.
	Nth uint32
}

// Push remembers one more record. It does not allocate.
func (a *Anchor) Push(m Mark) {
	switch {
	case a.N == 0: // others may have come before
		a.Nth = 0
	case a.Marks[a.Last].TS != m.TS:
		a.Nth = 1
	case a.Nth > 0:
		a.Nth++
	}
	if a.N > 0 && a.Marks[a.Last].Same(&m) {
		a.Marks[a.Last].Count++
		return
	}
	a.Restore(m)
}

// Restore adds a run as it was saved.
func (a *Anchor) Restore(m Mark) {
	if a.N > 0 {
		a.Last = (a.Last + 1) % AnchorDepth
	}
	a.Marks[a.Last] = m
	if a.N < AnchorDepth {
		a.N++
	}
}

// At returns the i-th newest mark; i < a.n.
func (a *Anchor) At(i uint8) *Mark {
	return &a.Marks[(a.Last+AnchorDepth-i)%AnchorDepth]
}

// Agree is how many marks, newest first, agree with those of target. a is what
// was just read; it is 0 if the newest differ. The oldest marks of either may
// stand for a run that began earlier, so there only the records are compared and
// not the length of the run.
//
// Where timestamps are whole seconds, marks may agree at more than one place of a
// second: then how far it is into that second tells which is meant.
func (a *Anchor) Agree(target *Anchor) uint8 {
	n := min(a.N, target.N)
	if n > 0 && a.Nth != target.Nth && a.Nth > 0 && target.Nth > 0 && isWhole(a.At(0).TS) && isWhole(target.At(0).TS) {
		return 0
	}
	for i := range n {
		m, t := a.At(i), target.At(i)
		if !m.Is(t) || (m.Count != t.Count && (i == 0 || i != n-1)) {
			return i
		}
	}
	return n
}

// Time is the timestamp of the newest mark that has one. It is 0 if none has.
func (a *Anchor) Time() int64 {
	for i := range a.N {
		if m := a.At(i); m.TS != decode.Undated {
			return m.TS
		}
	}
	return 0
}

// Holds says whether one of the marks stands for the record m. Those without a
// time tell nothing: another may be equal.
func (a *Anchor) Holds(m *Mark) bool {
	for i := range a.N {
		if t := a.At(i); t.TS != decode.Undated && t.Is(m) {
			return true
		}
	}
	return false
}

// End implements decode.Known.
func (a *Anchor) End(line []byte, ts int64, goesOn bool) int {
	for i := range a.N {
		m := a.At(i)
		if size := int(m.Size); m.TS == ts && (size > 0 || goesOn) && size <= len(line) && xxhash.Sum64(line[:size]) == m.Hash {
			if _, _, ok := decode.CutTime(line[size:]); ok || size == len(line) {
				return size
			}
		}
	}
	return -1
}

// Newest returns the newest mark, the zero mark for the zero anchor.
func (a *Anchor) Newest() Mark {
	return a.Marks[a.Last]
}
