package soak

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Key names one sequence of numbered lines.
type Key struct{ Container, Std string }

// Count is what was wrong with the lines that arrived. They are of one sequence
// or of all.
type Count struct {
	Lines   int // that arrived
	Missing int // that did not, up to the last one that must have
	Doubled int // that arrived before
	Late    int // that arrived behind one that was written after them
}

func (c *Count) add(d Count) {
	c.Lines += d.Lines
	c.Missing += d.Missing
	c.Doubled += d.Doubled
	c.Late += d.Late
}

// span is the numbers from first to last.
type span struct{ first, last int }

// sequence checks numbers that must come as 1, 2, 3 ... It keeps what is missing, not what came.
type sequence struct {
	next                 int // the number behind the greatest seen
	lines, doubled, late int
	holes                []span // below next, ascending
}

func (q *sequence) see(n int) {
	q.lines++
	switch {
	case n == q.next:
		q.next++
	case n > q.next:
		q.holes = append(q.holes, span{q.next, n - 1})
		q.next = n + 1
	default:
		q.fill(n)
	}
}

// fill takes a number that comes after a greater one.
func (q *sequence) fill(n int) {
	i := slices.IndexFunc(q.holes, func(h span) bool { return h.first <= n && n <= h.last })
	if i < 0 {
		q.doubled++
		return
	}
	q.late++
	h := q.holes[i]
	var rest []span
	if h.first < n {
		rest = append(rest, span{h.first, n - 1})
	}
	if n < h.last {
		rest = append(rest, span{n + 1, h.last})
	}
	q.holes = slices.Replace(q.holes, i, i+1, rest...)
}

// count is what is wrong when the numbers up to last were written, of which some may still be on their way: 0 is unknown.
func (q *sequence) count(last int) Count {
	c := Count{Lines: q.lines, Doubled: q.doubled, Late: q.late, Missing: max(0, last-(q.next-1))}
	for _, h := range q.holes {
		c.Missing += h.last - h.first + 1
	}
	return c
}

// tally checks all sequences of a run as their lines arrive. Its memory grows with what is missing, not with the lines.
type tally struct {
	run string

	mu        sync.Mutex
	sequences map[Key]*sequence
	foreign   int           // records that no container of the run wrote
	changed   chan struct{} // closed and replaced at each line
}

func newTally(run string) *tally {
	return &tally{run: run, sequences: map[Key]*sequence{}, changed: make(chan struct{})}
}

// see takes a line, as loggen writes them: `<run> <std> <seq> <payload>`.
func (t *tally) see(container, std, text string) {
	words := strings.SplitN(text, " ", 4)
	n, err := 0, error(nil)
	if len(words) == 4 {
		n, err = strconv.Atoi(words[2])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(words) < 4 || err != nil || n < 1 || words[0] != t.run || words[1] != std {
		t.foreign++
		return
	}
	k := Key{container, std}
	q := t.sequences[k]
	if q == nil {
		q = &sequence{next: 1}
		t.sequences[k] = q
	}
	q.see(n)
	close(t.changed)
	t.changed = make(chan struct{})
}

// total sums up all sequences; written is the last number of each, where it is known.
func (t *tally) total(written map[Key]int) (sum Count, foreign int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, q := range t.sequences {
		sum.add(q.count(written[k]))
	}
	for k, last := range written {
		if t.sequences[k] == nil {
			sum.Missing += last
		}
	}
	return sum, t.foreign
}

// each gives the count of every sequence.
func (t *tally) each(written map[Key]int) map[Key]Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[Key]Count{}
	for k, last := range written {
		all[k] = Count{Missing: last}
	}
	for k, q := range t.sequences {
		all[k] = q.count(written[k])
	}
	return all
}

// complete says whether the last line of each sequence has come, and otherwise what to wait for before asking again.
func (t *tally) complete(written map[Key]int) (bool, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, last := range written {
		if q := t.sequences[k]; q == nil || q.next <= last {
			return false, t.changed
		}
	}
	return true, t.changed
}
