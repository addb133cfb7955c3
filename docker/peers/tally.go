package peers

import (
	"bytes"
	"strconv"
	"sync"
)

// sequence is the numbered lines of one std stream of one container.
type sequence struct {
	container int
	std       string
}

// tally knows lines by their numbers, in whatever format an agent writes them: `line<container> <std> <number> `.
type tally struct {
	first, last int // the numbers that matter

	mu      sync.Mutex
	seen    map[sequence][]uint8 // by number, from first on; at most 255
	all     int                  // lines that came, those of other numbers among them
	lost    int                  // that did not come yet
	doubled int
	rest    []byte // a line without its end
}

// mark begins what loggen writes; the container's number follows. No name, label or path of a run has it.
const mark = "line#"

// newTally awaits the lines from first to last of each std stream of so many containers.
func newTally(containers, stds, first, last int) *tally {
	t := &tally{first: first, last: last, seen: map[sequence][]uint8{}}
	for c := range containers {
		for _, std := range []string{"stdout", "stderr"}[:stds] {
			t.seen[sequence{c, std}] = make([]uint8, last-first+1)
			t.lost += last - first + 1
		}
	}
	return t
}

// Write takes what an agent puts out. It never fails.
func (t *tally) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, b...)
	end := bytes.LastIndexByte(t.rest, '\n') + 1
	for text := t.rest[:end]; ; {
		_, after, ok := bytes.Cut(text, []byte(mark))
		if !ok {
			break
		}
		t.see(after)
		text = after
	}
	t.rest = t.rest[:copy(t.rest, t.rest[end:])]
	return len(b), nil
}

// see takes what stands behind a mark.
func (t *tally) see(text []byte) {
	var words [3][]byte
	for i := range words {
		var ok bool
		if words[i], text, ok = bytes.Cut(text[:min(len(text), 64)], []byte(" ")); !ok {
			return
		}
	}
	container, err := strconv.Atoi(string(words[0]))
	if err != nil {
		return
	}
	n, err := strconv.Atoi(string(words[2]))
	if err != nil {
		return
	}
	seen := t.seen[sequence{container, string(words[1])}]
	if seen == nil {
		return
	}
	t.all++
	switch {
	case n < t.first || n > t.last:
		return
	case seen[n-t.first] == 0:
		t.lost--
	default:
		t.doubled++
	}
	seen[n-t.first] = min(seen[n-t.first], 254) + 1
}

// count says how many lines came at all, how many are lost so far, and how many came more than once.
func (t *tally) count() (all, lost, doubled int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all, t.lost, t.doubled
}
