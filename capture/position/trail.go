package position

import "fluent-bit-docker-logs/capture/decode"

// Trail is what a stream has consumed of late. It is in the order of the log,
// behind an anchor that a read with an end has confirmed. What the Engine sends
// while a log is followed is no copy of the log: Engine 20.10 sends records
// twice at a log rotation and leaves out the rest of the file before, later
// ones skip whole files when they are outrun. So a follow is only believed as
// far as the next read with an end, and what that shows is compared with the
// trail.
type Trail struct {
	base     Anchor // of what lies before marks
	Marks    []TrailMark
	whole    bool // base is the log's beginning
	Verified int  // so many of marks are confirmed, with everything before
	Bytes    int  // about what the log holds of the others
	replay   int  // which record, from 1 on, a double must equal next; 0 outside a replay
	LastTS   [3]int64
	highTS   [3]int64 // of what was consumed; more than lastTS since the clock stepped back
}

// TrailMark is a mark without a number.
type TrailMark struct {
	TS   int64
	Hash uint64
	Size uint32
	std  uint8
}

// Single is the mark without its number.
func (m *Mark) Single() TrailMark {
	return TrailMark{TS: m.TS, Hash: m.Hash, Size: m.Size, std: m.Std}
}

func (m *TrailMark) mark() Mark {
	return Mark{TS: m.TS, Hash: m.Hash, Size: m.Size, Std: m.std, Count: 1}
}

const (
	// TrailLength is how many records a trail holds at least. They can be compared
	// with the log, and found to be sent twice.
	TrailLength = 2048
	trailSlack  = TrailLength / 4
	// RecordOverhead is what a json-file record has around its text.
	RecordOverhead = 85
)

// Start forgets all, unless the trail leads to p.
func (t *Trail) Start(p *Position) {
	a := &p.Anchor
	newest := a.Newest()
	switch n := len(t.Marks); {
	case n > 0 && t.Marks[n-1] == newest.Single():
		return
	case n == 0 && t.base == *a:
		t.whole = p.Kind == FromBeginning
		return
	}
	*t = Trail{base: *a, Marks: t.Marks[:0], whole: p.Kind == FromBeginning}
	for i := range a.N { // a double may be of any std stream, and older than the anchor
		if ts := a.At(i).TS; ts != decode.Undated {
			t.LastTS[decode.Stdout] = max(t.LastTS[decode.Stdout], ts)
		}
	}
	t.LastTS[decode.Stderr] = t.LastTS[decode.Stdout]
	t.highTS = t.LastTS
}

// Push adds a record that was consumed.
func (t *Trail) Push(m *Mark) {
	if n := len(t.Marks) - TrailLength; n >= trailSlack {
		t.shorten(n)
	}
	t.Marks = append(t.Marks, m.Single())
	if t.base.N == 0 && t.Verified == 0 && !t.whole {
		t.Verified = 1 // the capture begins there
	}
	t.LastTS[m.Std], t.highTS[m.Std] = m.TS, max(t.highTS[m.Std], m.TS)
	t.Bytes += int(m.Size) + RecordOverhead
}

// Insert adds a record at its place i in the log.
func (t *Trail) Insert(i int, m *Mark) {
	t.Marks = append(t.Marks, TrailMark{})
	copy(t.Marks[i+1:], t.Marks[i:])
	t.Marks[i] = m.Single()
}

// shorten makes the first n marks part of the base. Where they were not
// confirmed, they never will be.
func (t *Trail) shorten(n int) {
	t.base = t.UpTo(n)
	t.whole = t.whole && n == 0
	t.Marks = t.Marks[:copy(t.Marks, t.Marks[n:])]
	t.Verified = max(0, t.Verified-n)
	t.replay = max(0, t.replay-n)
}

// Untold says that nothing is confirmed since the log's beginning.
func (t *Trail) Untold() bool { return t.whole && t.Verified == 0 && len(t.Marks) > 0 }

// Unconfirmed is how many records were consumed since the last confirmation.
func (t *Trail) Unconfirmed() int { return len(t.Marks) - t.Verified }

// Confirm says that the log holds what the trail does. It holds nothing else.
func (t *Trail) Confirm() { t.Verified, t.Bytes = len(t.Marks), 0 }

// Forget keeps only the last n records. If there are fewer, these are kept.
func (t *Trail) Forget(n int) {
	n = min(n, len(t.Marks))
	*t = Trail{Marks: t.Marks[:copy(t.Marks, t.Marks[len(t.Marks)-n:])], LastTS: t.LastTS, highTS: t.highTS}
}

// PassOver gives up what could not be confirmed. Where toCome, the log may
// still show some of it.
func (t *Trail) PassOver(toCome bool) {
	if !toCome {
		t.Confirm()
	}
}

// Leave is Confirm where no record can be sent twice. Only the end is kept.
func (t *Trail) Leave() {
	*t = Trail{base: t.End(), LastTS: t.LastTS, highTS: t.highTS}
}

// Newest is the time of each std stream's newest record.
func (t *Trail) Newest() [3]int64 { return t.highTS }

// Confirmed is the anchor behind what is confirmed.
func (t *Trail) Confirmed() Anchor { return t.UpTo(t.Verified) }

// End is the anchor behind the newest record.
func (t *Trail) End() Anchor { return t.UpTo(len(t.Marks)) }

// UpTo is the anchor behind the first n records.
func (t *Trail) UpTo(n int) Anchor {
	a := t.base
	for i := range t.Marks[:n] {
		a.Push(t.Marks[i].mark())
		if i == 0 && t.whole {
			a.Nth = 1
		}
	}
	return a
}

// Rebase finds the place anew, n records before the trail's end. Some of what is
// before it may have come late.
func (p *Position) Rebase(t *Trail, n int) {
	i := len(t.Marks) - n
	if i < 0 {
		return // it is further back
	}
	a := t.UpTo(i)
	switch p.Kind {
	case FromBeginning:
		if i > 0 {
			p.Kind, p.Anchor, p.Next = FromAnchor, a, Mark{}
		}
	case FromAnchor:
		if a.N >= p.Anchor.N { // else the trail is shorter
			p.Anchor = a
		}
	}
}

// Find looks for a record from place i on; -1: none.
func (t *Trail) Find(m TrailMark, i int) int {
	for ; i < len(t.Marks); i++ {
		if t.Marks[i] == m {
			return i
		}
	}
	return -1
}

// Place is where the trail has the first record of a log. It is the last of what is
// confirmed or one behind it. It is -1 if it is nowhere, or if another may be
// equal: of those without a time, and of the pieces of a line.
func (t *Trail) Place(m TrailMark) int {
	i := t.Find(m, max(0, t.Verified-1))
	switch {
	case i < 0, m.TS == decode.Undated:
		return -1
	case m.Size < decode.ChunkSize:
		return i
	case t.goesOn(m), !t.beginsBefore(m), t.Find(m, 0) < i, t.Find(m, i+1) >= 0:
		return -1
	}
	return i
}

// Sighting is what a record is that a follow sends.
type Sighting uint8

// The judgements of See.
const (
	NewRecord Sighting = iota
	DoubledRecord
	PieceOfLine    // what is expected behind the piece of a long line that came last
	DoubtfulRecord // only the log itself can tell
)

// See judges what is sent by an Engine that repeats itself. At a log rotation
// that begins again at the beginning of a file that it has read already, also
// between the pieces of a long line. Within one std stream timestamps never run
// backwards but for a step of the clock, so only a record that is not newer than
// all before is looked up. While what follows a double follows it in the trail,
// too, it is a double. One that is not found may be older than the trail, or the
// clock was set.
func (t *Trail) See(e *decode.Entry) Sighting {
	if e.TS == decode.Undated { // equal ones may well be two
		t.replay = 0
		return NewRecord
	}
	if t.replay == 0 && e.TS > t.highTS[e.Std] {
		return NewRecord
	}
	full := MarkOf(e)
	m := full.Single()
	if t.replay > 0 && t.Marks[t.replay-1] == m {
		t.replayed(t.replay - 1)
		return DoubledRecord
	}
	t.replay = 0
	if e.TS > t.highTS[e.Std] {
		return NewRecord
	}
	i := len(t.Marks) - 1
	for i >= 0 && t.Marks[i] != m {
		i--
	}
	switch {
	case i < 0 && e.TS > t.LastTS[e.Std]:
		return NewRecord
	case i < 0 && t.goesOn(m):
		return PieceOfLine
	case i < 0 && m.Size < decode.ChunkSize && t.base.Holds(&full): // before what was consumed since
		return DoubledRecord
	case i < 0, t.goesOn(m): // the pieces of a line may be equal
		return DoubtfulRecord
	}
	t.replayed(i)
	return DoubledRecord
}

// goesOn says whether the last record of a std stream is a piece of a long line
// that a record may go on with: all pieces have the time of the first.
func (t *Trail) goesOn(m TrailMark) bool {
	for i := len(t.Marks) - 1; i >= 0; i-- {
		if last := t.Marks[i]; last.std == m.std {
			return last.TS == m.TS && last.Size >= decode.ChunkSize
		}
	}
	return false
}

// beginsBefore says whether the trail has a record of the std stream before the
// line that a record is of.
func (t *Trail) beginsBefore(m TrailMark) bool {
	for _, o := range t.Marks {
		if o.std == m.std {
			return o.TS != m.TS
		}
	}
	return false
}

// replayed follows the double of the i-th record.
func (t *Trail) replayed(i int) {
	if t.replay = i + 2; t.replay > len(t.Marks) {
		t.replay = 0
	}
}
