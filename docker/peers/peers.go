// Package peers measures the plugin beside other agents. They do the same work on the same Engine, one after the
// other; it says what that took and whether each line came once.
//
//	works.go        what there is to do
//	peer.go         what an agent is; each is in the file of its name, or of its program
//	build.go        agents that are Go modules, built once, in modules of their own
//	host.go         the Engine, and the containers that write
//	run.go          an agent's process: set up, started, stopped
//	once.go         one agent at one work
//	sink.go         lines on their way out of an agent; tally.go knows them by number
//	figures.go      medians and ratios
//	markdown.go     the report, and the table for a document; chart.go draws it
package peers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// Config says what to run. The zero value of a field is its default.
type Config struct {
	Peers  []string // names; those of ours that they are compared with are always among them [all]
	Works  []string // names [all]
	Rounds int      // in each of which every agent does the work once [3]
	Scale  float64  // of lines, containers and time [1]
	Dir    string   // where the agents and the Engine have their files [the system's for temporary ones]
}

// Say tells a person how it goes.
type Say func(format string, args ...any)

func (c *Config) setDefaults() error {
	if c.Rounds == 0 {
		c.Rounds = 3
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.Rounds < 0 || !(c.Scale > 0) || math.IsInf(c.Scale, 0) {
		return fmt.Errorf("rounds %d, scale %g: both must be more than nothing", c.Rounds, c.Scale)
	}
	return nil
}

// Run has each agent do each work. The report holds what was measured until an error came, or ctx was done; it is nil where
// that is nothing.
func Run(ctx context.Context, c Config, say Say) (*Report, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	works, err := chosen(works(c.Scale), func(w *work) string { return w.name }, c.Works)
	if err != nil {
		return nil, fmt.Errorf("works: %w", err)
	}
	peers, err := choosePeers(c.Peers)
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	dir, err := os.MkdirTemp(c.Dir, "peers")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &Report{Config: c, Began: time.Now(), peers: peers}
	for _, p := range peers {
		switch err := p.find(ctx, say); {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil && p.Ours:
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		case err != nil:
			p.absent = oneLine(err)
			say("%s is not there: %s", p.Name, p.absent)
		}
	}
	h, err := startHost(ctx)
	if err != nil {
		return nil, err
	}
	r.Engine = h.Version
	b := &bench{Config: c, host: h, dir: dir, say: say, report: r}
	for _, w := range works {
		if err = b.work(ctx, w); err != nil {
			err = fmt.Errorf("%s: %w", w.name, err)
			r.Trouble = oneLine(err)
			break
		}
	}
	r.Took = time.Since(r.Began)
	return r, errors.Join(err, h.Down())
}

// bench is a run that goes on.
type bench struct {
	Config
	host   *host
	dir    string
	say    Say
	report *Report
}

// work has every agent do it, in rounds.
func (b *bench) work(ctx context.Context, w *work) error {
	began := load()
	b.say("%s: %s; load %.1f", w.name, w.what, began)
	result := &result{work: w, load: [2]float64{began, began}}
	b.report.results = append(b.report.results, result)
	for _, p := range b.report.peers {
		if p.absent == "" && w.why(p) == "" {
			result.rows = append(result.rows, &row{peer: p})
		}
	}
	if !w.fresh {
		if err := b.host.fill(ctx, w); err != nil {
			return err
		}
	}
	for round := range b.Rounds {
		for _, row := range result.rows {
			if err := b.round(ctx, w, row, w.exact, fmt.Sprintf("round %d of %d", round+1, b.Rounds)); err != nil {
				return err
			}
		}
	}
	if !w.exact && w.written() > 0 { // what it took is known: which lines came is another run, whose sink keeps them
		for _, row := range result.rows {
			if err := b.round(ctx, w, row, true, "by number"); err != nil {
				return err
			}
		}
	}
	result.load[1] = load()
	return b.host.empty(ctx)
}

// tries is how often an agent may begin, where it dies.
const tries = 3

// round has an agent do a work once.
func (b *bench) round(ctx context.Context, w *work, row *row, keep bool, what string) error {
	var f figures
	var err error
	for n := range tries {
		if f, err = b.once(ctx, w, row.peer, keep); ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if engine := (*engineError)(nil); err == nil || errors.As(err, &engine) {
			break
		}
		b.say("%s, %s: %s: %v", w.name, what, row.peer.Name, err)
		if n < tries-1 {
			if err := pause(ctx, patience); err != nil { // what it lacked may be there then: a port, an inotify instance
				return err
			}
		}
	}
	if engine := (*engineError)(nil); errors.As(err, &engine) {
		return err
	}
	if err != nil {
		row.trouble = oneLine(err)
		row.runs = append(row.runs, nil)
		return nil
	}
	b.say("%s, %s: %-11s %s", w.name, what, row.peer.Name, f)
	row.add(f, keep, w.exact)
	return nil
}

// chosen are those of all that have one of the names, in their order; without names all of them.
func chosen[T any](all []T, name func(T) string, names []string) (some []T, err error) {
	var known []string
	for _, x := range all {
		known = append(known, name(x))
		if len(names) == 0 || slices.Contains(names, name(x)) {
			some = append(some, x)
		}
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("%q is none of %s", n, strings.Join(known, ", "))
		}
	}
	return some, nil
}

// oneLine is an error for a table.
func oneLine(err error) string { return oneLineOf(err.Error()) }
