package stream

import (
	"cmp"
	"slices"

	"fluent-bit-docker-logs/capture/reader"
)

// parking is what the guard has done to the streams. It is used on the guard's task
// alone.
type parking struct {
	*tasks
	parked []*stream // whose logs were given up
}

// Park has the n quietest streams polled.
func (p *parking) Park(n int) (parked int) {
	if p.Reader == File {
		return 0
	}
	type candidate struct {
		s    *stream
		rate float64
	}
	p.parked = slices.DeleteFunc(p.parked, func(s *stream) bool {
		gone := !p.settled(s.id)
		if gone {
			s.parked.Store(false)
		}
		return gone
	})
	var open []candidate
	for _, s := range p.running() {
		if reader := s.notes.now(); (reader == File || reader == Follow) && !s.parked.Load() && !s.container().AutoRemove {
			open = append(open, candidate{s, s.rate()})
		}
	}
	slices.SortFunc(open, func(a, b candidate) int { return cmp.Compare(a.rate, b.rate) })
	for _, o := range open[:min(n, len(open))] {
		o.s.parked.Store(true)
		o.s.interrupt(reader.ErrMoved)
		p.parked = append(p.parked, o.s)
		parked++
	}
	return parked
}

// Parked is how many streams are polled for that.
func (p *parking) Parked() int { return len(p.parked) }

// Unpark has n of them read as before.
func (p *parking) Unpark(n int) int {
	back := p.parked[:min(n, len(p.parked))]
	for _, s := range back {
		s.parked.Store(false)
		s.interrupt(reader.ErrMoved)
	}
	p.parked = slices.Clone(p.parked[len(back):])
	return len(back)
}

// Running is how many streams run.
func (p *parking) Running() int { return p.runningCount() }

// Recycle has all logs opened anew.
func (p *parking) Recycle() int {
	all := p.running()
	for _, s := range all {
		s.interrupt(reader.ErrRecycled)
	}
	return len(all)
}
