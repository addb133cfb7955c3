package capture

import (
	"github.com/cespare/xxhash/v2"

	"fluent-bit-docker-logs/capture/decode"
)

// anchorDepth is how many runs of equal log records an anchor remembers.
// One record nearly always suffices, since the Engine's timestamps have
// nanoseconds; the others tell apart records that are equal to the last byte.
const anchorDepth = 8

// mark stands for a run of equal records that follow each other in a log.
type mark struct {
	TS    int64  `json:"ts"`   // nanoseconds since 1970, or undated
	Hash  uint64 `json:"hash"` // xxhash64 of the text without its line end
	Size  uint32 `json:"size"` // of the text in bytes
	Std   uint8  `json:"std"`  // stdout or stderr
	Count uint32 `json:"run"`  // how many records the run has so far
}

// same says whether two marks stand for equal records, whatever their number.
func (m *mark) same(o *mark) bool {
	return m.TS == o.TS && m.Hash == o.Hash && m.Size == o.Size && m.Std == o.Std
}

func markOf(e *decode.Entry) mark {
	return mark{TS: e.TS, Hash: xxhash.Sum64(e.Text), Size: uint32(len(e.Text)), Std: e.Std, Count: 1}
}

// anchor is the last records consumed of a container's log, in the order of
// the log. Found again in the log, it says exactly where to go on, whatever
// the timestamps do. The zero anchor is before the first record.
type anchor struct {
	marks [anchorDepth]mark // a ring
	n     uint8             // marks in use
	last  uint8             // index of the newest
}

// push remembers one more record. It does not allocate.
func (a *anchor) push(m mark) {
	if a.n > 0 && a.marks[a.last].same(&m) {
		a.marks[a.last].Count++
		return
	}
	a.restore(m)
}

// restore adds a run as it was saved.
func (a *anchor) restore(m mark) {
	if a.n > 0 {
		a.last = (a.last + 1) % anchorDepth
	}
	a.marks[a.last] = m
	if a.n < anchorDepth {
		a.n++
	}
}

// at returns the i-th newest mark; i < a.n.
func (a *anchor) at(i uint8) *mark {
	return &a.marks[(a.last+anchorDepth-i)%anchorDepth]
}

// agree is the number of marks, from the newest back, in which a (what was
// just read) ends like target: 0 if the newest differ. The oldest marks of
// either may stand for a run that began earlier, so there only the records
// are compared and not the length of the run.
func (a *anchor) agree(target *anchor) uint8 {
	n := min(a.n, target.n)
	for i := range n {
		m, t := a.at(i), target.at(i)
		if !m.same(t) || (m.Count != t.Count && (i == 0 || i != n-1)) {
			return i
		}
	}
	return n
}

// time is the timestamp of the newest mark that has one, 0 if none has.
func (a *anchor) time() int64 {
	for i := range a.n {
		if m := a.at(i); m.TS != decode.Undated {
			return m.TS
		}
	}
	return 0
}

// holds says whether one of the marks stands for the record m. Those without a
// time tell nothing: another may be equal.
func (a *anchor) holds(m *mark) bool {
	for i := range a.n {
		if t := a.at(i); t.TS != decode.Undated && t.same(m) {
			return true
		}
	}
	return false
}

// End implements decode.Known.
func (a *anchor) End(line []byte, ts int64, goesOn bool) int {
	for i := range a.n {
		m := a.at(i)
		if size := int(m.Size); m.TS == ts && (size > 0 || goesOn) && size <= len(line) && xxhash.Sum64(line[:size]) == m.Hash {
			if _, _, ok := decode.CutTime(line[size:]); ok || size == len(line) {
				return size
			}
		}
	}
	return -1
}

// newest returns the newest mark, the zero mark for the zero anchor.
func (a *anchor) newest() mark {
	return a.marks[a.last]
}
