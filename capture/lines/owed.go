package lines

import (
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// owed is what a restart has to bring. While a line or a trace is incomplete, it
// begins before its first record, at the oldest base, and skips the records behind
// that which need no second delivery.
type owed struct {
	based  bool      // any base is needed
	needed [5]bool   // by base: what it is for is not complete
	bases  [5]*base  // restored; by std of lines; and of traces
	skip   [3]uint32 // by std: what is left to be skipped
}

// base is a place that is to be read from again after a restart, because
// something behind it is not delivered yet: an incomplete line, or a trace.
type base struct {
	pos  position.Position
	seen [3]uint32 // records consumed behind it, by std
	late [3]uint32 // others, of late lines that are incomplete
}

// total is how many records behind it were consumed.
func (b *base) total() int {
	return int(b.seen[decode.Stdout] + b.seen[decode.Stderr] + b.late[decode.Stdout] + b.late[decode.Stderr])
}

// restored is the index of the base that a restart gave, beside those of the
// std streams' lines and traces.
const restored = 0

// traceBase is the index of the base of a std stream's trace.
func traceBase(std uint8) uint8 { return decode.Stderr + std }

// setBase notes the place before an incomplete line of a std stream, or the
// place of a restart.
func (o *owed) setBase(i uint8, p position.Position) {
	if o.bases[i] == nil { // most containers never need it
		o.bases[i] = new(base)
	}
	*o.bases[i], o.based, o.needed[i] = base{pos: p}, true, true
}

// done says that what a base is for is complete, or was dropped.
func (o *owed) done(i uint8) { o.needed[i] = false }

// nothing says that nothing is owed.
func (o *owed) nothing() { o.based, o.needed, o.skip = false, [5]bool{}, [3]uint32{} }

// needs says whether a base is one still.
func (o *owed) needs(i uint8) bool {
	if i == restored {
		return o.skip != [3]uint32{}
	}
	return o.needed[i]
}

// settle forgets the bases when nothing depends on any of them.
func (o *owed) settle() {
	for i := range uint8(len(o.bases)) {
		if !o.based || o.needs(i) {
			return
		}
	}
	o.based = false
}

// oldest is the base that is furthest back, nil if there is none.
func (o *owed) oldest() (b *base) {
	for i := range uint8(len(o.bases)) {
		switch {
		case !o.needs(i):
		case i == restored:
			return o.bases[i]
		case b == nil, b.total() < o.bases[i].total():
			b = o.bases[i]
		}
	}
	return b
}

// passed follows a record that was consumed.
func (o *owed) passed(std uint8) {
	for i := range uint8(len(o.bases)) {
		if o.needs(i) {
			o.bases[i].seen[std]++
		}
	}
}

// passedLate follows a late record. It is behind the bases that are before more
// records than it.
func (o *owed) passedLate(std uint8, behind int) {
	for i := range uint8(len(o.bases)) {
		if o.needs(i) && o.bases[i].total() > behind {
			o.bases[i].late[std]++
		}
	}
}

// delivered follows the delivery of a late line.
func (o *owed) delivered(std uint8) {
	for _, b := range o.bases {
		if b != nil {
			b.seen[std], b.late[std] = b.seen[std]+b.late[std], 0
		}
	}
}
