package capture

// doubleFilter drops what Engine 20.10 sends twice: at a log rotation its
// follow begins again somewhere in the records it has just sent, and goes on
// from there (measured: 50 to 60 of 5,000 lines at max-size 20k). Within one
// std stream timestamps never run backwards but for a step of the clock, so a
// record older than the last one is looked up among the last ones delivered;
// while what follows it follows there too, it is a double. A record that is
// not found there is new, whatever its time.
type doubleFilter struct {
	seen   []doubleMark // a ring, in the order of the log
	next   int          // where the next one goes
	lastTS [3]int64     // by std
	at     int          // index in seen that a double must equal next, -1 outside a replay
}

type doubleMark struct {
	ts   int64
	hash uint64
}

// doubleWindow is how many records are remembered; 16 bytes each.
const doubleWindow = 2048

// followDoublesBelow is the first API version whose follow sends nothing
// twice (Engine 23).
const followDoublesBelow = "1.42"

func newDoubleFilter() *doubleFilter {
	return &doubleFilter{seen: make([]doubleMark, 0, doubleWindow), at: -1}
}

// drop says whether e was delivered before; if not, it takes it as delivered
// now.
func (d *doubleFilter) drop(e *entry) bool {
	full := markOf(e)
	m := doubleMark{ts: full.TS, hash: full.Hash ^ uint64(full.Std)<<32 ^ uint64(full.Size)}
	if d.at >= 0 && d.seen[d.at] == m {
		d.step()
		return true
	}
	d.at = -1
	if e.ts == undated { // equal ones may well be two
		d.note(m)
		return false
	}
	if e.ts < d.lastTS[e.std] || (e.ts == d.lastTS[e.std] && e.newline && len(e.text) < chunkSize) {
		if i := d.find(m); i >= 0 {
			d.at = i
			d.step()
			return true
		}
	}
	d.lastTS[e.std] = e.ts
	d.note(m)
	return false
}

// note takes a record as delivered.
func (d *doubleFilter) note(m doubleMark) {
	if len(d.seen) < doubleWindow {
		d.seen = append(d.seen, m)
	} else {
		d.seen[d.next] = m
	}
	d.next = (d.next + 1) % doubleWindow
}

// step moves on to the record behind the one just found, -1 behind the last.
func (d *doubleFilter) step() {
	d.at = (d.at + 1) % doubleWindow
	if d.at == d.next {
		d.at = -1
	}
}

// find looks for m from the newest back.
func (d *doubleFilter) find(m doubleMark) int {
	for k := 1; k <= len(d.seen); k++ {
		if i := (d.next - k + doubleWindow) % doubleWindow; d.seen[i] == m {
			return i
		}
	}
	return -1
}
