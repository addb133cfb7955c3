package peers

import (
	"fmt"
	"math"
	"slices"
	"time"

	"fluent-bit-docker-logs/docker/plot"
)

// figures are what an agent took for a work.
type figures struct {
	CPU, Engine float64 // seconds of CPU, of the agent and of dockerd meanwhile
	Wall        float64 // seconds
	Peak        float64 // bytes of memory
	Lost        int     // lines that never came
	Doubled     int     // lines that came again
	Load        float64 // of the machine
}

func (f figures) String() string {
	return fmt.Sprintf("CPU %.2f s, Engine %.2f s, wall %.1f s, %s; lost %d, doubled %d; load %.1f", f.CPU, f.Engine, f.Wall, plot.Format(f.Peak, "B"), f.Lost, f.Doubled, f.Load)
}

// row is an agent at a work.
type row struct {
	peer    *Peer
	runs    []*figures // by round; nil: it did not get through
	lost    int        // the most of a run
	doubled int        // the most of a run
	trouble string     // why it did not get through, the last time
}

// add takes a run. What it took counts where its lines went to the sink that the work is measured with.
func (r *row) add(f figures, keep, exact bool) {
	if keep == exact {
		r.runs = append(r.runs, &f)
	}
	r.lost, r.doubled = max(r.lost, f.Lost), max(r.doubled, f.Doubled)
}

// median is that of a figure, NaN where there is no run.
func (r *row) median(of func(*figures) float64) float64 { return median(r.values(of)) }

func (r *row) values(of func(*figures) float64) (all []float64) {
	for _, f := range r.runs {
		if f != nil {
			all = append(all, of(f))
		}
	}
	return all
}

func ownCPU(f *figures) float64    { return f.CPU }
func engineCPU(f *figures) float64 { return f.Engine }
func allCPU(f *figures) float64    { return f.CPU + f.Engine }
func wall(f *figures) float64      { return f.Wall }
func peak(f *figures) float64      { return f.Peak }

// result is a work, done by everybody.
type result struct {
	work *work
	rows []*row
	load [2]float64 // of the machine, before and after
}

// row is that of an agent, nil if it has none.
func (r *result) row(p *Peer) *row {
	i := slices.IndexFunc(r.rows, func(x *row) bool { return x.peer == p })
	if i < 0 {
		return nil
	}
	return r.rows[i]
}

// ours is the row that another is compared with; nil: it is one of ours, or there is none.
func (r *result) ours(of *row) *row {
	if of.peer.Ours {
		return nil
	}
	i := slices.IndexFunc(r.rows, func(x *row) bool { return x.peer.Ours && x.peer.Source == of.peer.Source })
	if i < 0 {
		return nil
	}
	return r.rows[i]
}

// ratio is the median of the rounds' ratios of ours to an agent's, NaN where there is none.
func (r *result) ratio(of *row, figure func(*figures) float64) float64 {
	ours := r.ours(of)
	if ours == nil {
		return math.NaN()
	}
	var all []float64
	for i := range min(len(ours.runs), len(of.runs)) {
		if a, b := ours.runs[i], of.runs[i]; a != nil && b != nil && figure(b) > 0 {
			all = append(all, figure(a)/figure(b))
		}
	}
	return median(all)
}

// median is the one in the middle, or between both; NaN of nothing.
func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// Report is what was measured.
type Report struct {
	Config  Config
	Began   time.Time
	Took    time.Duration
	Engine  string // version
	Trouble string // why it ended early

	peers   []*Peer
	results []*result
}
