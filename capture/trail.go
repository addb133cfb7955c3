package capture

import "fluent-bit-docker-logs/capture/decode"

// trail is what a stream has consumed of late, in the order of the log: behind
// an anchor that a read with an end has confirmed. What the Engine sends while
// a log is followed is no copy of the log: Engine 20.10 sends records twice at
// a log rotation and leaves out the rest of the file before, later ones skip
// whole files when they are outrun. So a follow is only believed as far as the
// next read with an end, and what that shows is compared with the trail.
type trail struct {
	base     anchor // of what lies before marks
	marks    []trailMark
	whole    bool // base is the log's beginning
	verified int  // so many of marks are confirmed, with everything before
	bytes    int  // about what the log holds of the others
	replay   int  // which record, from 1 on, a double must equal next; 0 outside a replay
	lastTS   [3]int64
	highTS   [3]int64 // of what was consumed; more than lastTS since the clock stepped back
}

// trailMark is a mark without a number.
type trailMark struct {
	ts   int64
	hash uint64
	size uint32
	std  uint8
}

func (m *mark) single() trailMark {
	return trailMark{ts: m.TS, hash: m.Hash, size: m.Size, std: m.Std}
}

func (m *trailMark) mark() mark {
	return mark{TS: m.ts, Hash: m.hash, Size: m.size, Std: m.std, Count: 1}
}

const (
	// trailLength is how many records a trail holds at least, if there are so
	// many: what can be compared with the log, and found to be sent twice.
	trailLength = 2048
	trailSlack  = trailLength / 4
	// recordOverhead is what a json-file record has around its text.
	recordOverhead = 85
)

// start forgets all, unless the trail leads to p.
func (t *trail) start(p *position) {
	a := &p.anchor
	newest := a.newest()
	switch n := len(t.marks); {
	case n > 0 && t.marks[n-1] == newest.single():
		return
	case n == 0 && t.base == *a:
		t.whole = p.kind == fromBeginning
		return
	}
	*t = trail{base: *a, marks: t.marks[:0], whole: p.kind == fromBeginning}
	for i := range a.n { // a double may be of any std stream, and older than the anchor
		if ts := a.at(i).TS; ts != decode.Undated {
			t.lastTS[decode.Stdout] = max(t.lastTS[decode.Stdout], ts)
		}
	}
	t.lastTS[decode.Stderr] = t.lastTS[decode.Stdout]
	t.highTS = t.lastTS
}

// push adds a record that was consumed.
func (t *trail) push(m *mark) {
	if n := len(t.marks) - trailLength; n >= trailSlack {
		t.shorten(n)
	}
	t.marks = append(t.marks, m.single())
	if t.base.n == 0 && t.verified == 0 && !t.whole {
		t.verified = 1 // the capture begins there
	}
	t.lastTS[m.Std], t.highTS[m.Std] = m.TS, max(t.highTS[m.Std], m.TS)
	t.bytes += int(m.Size) + recordOverhead
}

// insert adds a record at the place i that it has in the log.
func (t *trail) insert(i int, m *mark) {
	t.marks = append(t.marks, trailMark{})
	copy(t.marks[i+1:], t.marks[i:])
	t.marks[i] = m.single()
}

// shorten makes the first n marks part of the base. Where they were not
// confirmed, they never will be.
func (t *trail) shorten(n int) {
	for i := range t.marks[:n] {
		t.base.push(t.marks[i].mark())
	}
	t.whole = t.whole && n == 0
	t.marks = t.marks[:copy(t.marks, t.marks[n:])]
	t.verified = max(0, t.verified-n)
	t.replay = max(0, t.replay-n)
}

// untold says that nothing is confirmed since the log's beginning.
func (t *trail) untold() bool { return t.whole && t.verified == 0 && len(t.marks) > 0 }

// unconfirmed is how many records were consumed since the last confirmation.
func (t *trail) unconfirmed() int { return len(t.marks) - t.verified }

// confirm says that the log holds what the trail does, and nothing else.
func (t *trail) confirm() { t.verified, t.bytes = len(t.marks), 0 }

// forget keeps only the last n records, or as many as there are.
func (t *trail) forget(n int) {
	n = min(n, len(t.marks))
	*t = trail{marks: t.marks[:copy(t.marks, t.marks[len(t.marks)-n:])], lastTS: t.lastTS, highTS: t.highTS}
}

// passOver gives up what could not be confirmed; in the log there may be some
// of it still to come.
func (t *trail) passOver(toCome bool) {
	if !toCome {
		t.confirm()
	}
}

// leave is confirm where no record can be sent twice: only the end is kept.
func (t *trail) leave() {
	t.base = t.end()
	*t = trail{base: t.base, lastTS: t.lastTS, highTS: t.highTS}
}

// confirmed is the anchor behind what is confirmed.
func (t *trail) confirmed() anchor { return t.upTo(t.verified) }

// end is the anchor behind the newest record.
func (t *trail) end() anchor { return t.upTo(len(t.marks)) }

func (t *trail) upTo(n int) anchor {
	a := t.base
	for i := range t.marks[:n] {
		a.push(t.marks[i].mark())
	}
	return a
}

// find looks for a record from place i on, -1 if it is not there.
func (t *trail) find(m trailMark, i int) int {
	for ; i < len(t.marks); i++ {
		if t.marks[i] == m {
			return i
		}
	}
	return -1
}

// place is where the trail has a record with which a log begins, the last of
// what is confirmed or one behind it; -1 if nowhere, or if it is a piece of a line
// that may be equal to the one before or behind.
func (t *trail) place(m trailMark) int {
	i := t.find(m, max(0, t.verified-1))
	if i < 0 || m.size < decode.ChunkSize {
		return i
	}
	next, before := i+1, i-1
	for next < len(t.marks) && t.marks[next].std != m.std {
		next++
	}
	for before >= 0 && t.marks[before].std != m.std {
		before--
	}
	if next == len(t.marks) || t.marks[next] == m || before < 0 || t.marks[before] == m {
		return -1
	}
	return i
}

// sighting is what is to be thought of a record that a follow sends.
type sighting uint8

const (
	newRecord sighting = iota
	doubledRecord
	pieceOfLine    // what is expected behind the piece of a long line that came last
	doubtfulRecord // only the log itself can tell
)

// see judges what the follow of an Engine sends that repeats itself: at a log
// rotation it begins again at the beginning of a file that it has read already,
// also between the pieces of a long line. Within one std stream timestamps
// never run backwards but for a step of the clock, so only a record that is not
// newer than all before is looked up. While what follows a double follows it
// in the trail, too, it is a double. One that is not found may be older than the
// trail, or the clock was set.
func (t *trail) see(e *decode.Entry) sighting {
	if e.TS == decode.Undated { // equal ones may well be two
		t.replay = 0
		return newRecord
	}
	if t.replay == 0 && e.TS > t.highTS[e.Std] {
		return newRecord
	}
	full := markOf(e)
	m := full.single()
	if t.replay > 0 && t.marks[t.replay-1] == m {
		t.replayed(t.replay - 1)
		return doubledRecord
	}
	t.replay = 0
	if e.TS > t.highTS[e.Std] {
		return newRecord
	}
	i := len(t.marks) - 1
	for i >= 0 && t.marks[i] != m {
		i--
	}
	switch {
	case i < 0 && e.TS > t.lastTS[e.Std]:
		return newRecord
	case i < 0 && t.goesOn(m):
		return pieceOfLine
	case i < 0:
		return doubtfulRecord
	case !e.Newline && len(e.Text) >= decode.ChunkSize && t.newest(i):
		return doubtfulRecord // the pieces of a line may be equal
	}
	t.replayed(i)
	return doubledRecord
}

// goesOn says whether the last record of a std stream is a piece of a long line
// that a record may go on with: all pieces have the time of the first.
func (t *trail) goesOn(m trailMark) bool {
	for i := len(t.marks) - 1; i >= 0; i-- {
		if last := t.marks[i]; last.std == m.std {
			return last.ts == m.ts && last.size >= decode.ChunkSize
		}
	}
	return false
}

// newest says whether no later record than the i-th is of its std stream.
func (t *trail) newest(i int) bool {
	for _, m := range t.marks[i+1:] {
		if m.std == t.marks[i].std {
			return false
		}
	}
	return true
}

// replayed follows the double of the i-th record.
func (t *trail) replayed(i int) {
	if t.replay = i + 2; t.replay > len(t.marks) {
		t.replay = 0
	}
}
