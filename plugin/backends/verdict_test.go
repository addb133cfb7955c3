package backends

import (
	"context"
	"time"

	"fluent-bit-docker-logs/plugin/e2e"
)

// patience is how long after the last line the last record may come: a retry of Fluent Bit waits 30 seconds at most.
const patience = 2 * time.Minute

// demand is what a case asks of one backend.
type demand int

const (
	shown    demand = iota // nothing: what is missing is known to be, and stands in the table
	complete               // each line, with its time; what came twice or out of order stands in the table
	exact                  // each line once, in order, with its time
)

// judge compares what arrived with what the Engine has, and fails the test where a demand on a backend is not met.
func (l *load) judge(demands ...demand) {
	l.t.Helper()
	<-l.written
	want := map[string][]e2e.Line{}
	for _, c := range l.containers {
		for _, line := range c.Logs() {
			want[c.ID] = append(want[c.ID], e2e.Line{Container: c.Name, Std: line.Std, Text: line.Text, Time: line.Time})
		}
		if n := len(want[c.ID]); n != l.total/len(l.containers) {
			l.t.Errorf("%s wrote %d lines, not %d", c.Name, n, l.total/len(l.containers))
		}
	}
	for i, b := range l.backends {
		r, bad := l.compare(b, want, demands[i])
		hidden, err := b.hidden(context.Background(), l)
		if err != nil {
			l.t.Error(err)
		}
		if r.doubled += hidden; demands[i] == exact && hidden > 0 {
			l.t.Errorf("%s holds %d lines too many", b.name(), hidden)
		}
		l.demand(demands[i], r, bad)
	}
}

func (l *load) demand(d demand, r row, bad []e2e.Verdict) {
	l.t.Helper()
	results.add(r)
	for _, v := range bad {
		if d == exact || v.Foreign.Count+v.Mistimed.Count > 0 || d == complete && v.Missing.Count > 0 {
			l.t.Errorf("%s: %v", r.backend, v)
		}
	}
}

// compare judges one backend, again and again until nothing is missing there or patience is at its end.
func (l *load) compare(b backend, want map[string][]e2e.Line, d demand) (row, []e2e.Verdict) {
	l.t.Helper()
	wait := patience
	if d == shown {
		wait = 40 * time.Second
	}
	for {
		last := time.Since(l.ended) > wait
		r := row{what: l.what, backend: b.name(), after: l.late(b)}
		var bad []e2e.Verdict
		if last || l.has(b) {
			for _, c := range l.containers {
				got, err := b.lines(context.Background(), l, c)
				if err != nil {
					l.t.Errorf("%s: %v", b.name(), err)
					return r, nil
				}
				for _, v := range e2e.Compare(want[c.ID], got) {
					r.add(v)
					if !v.OK() {
						bad = append(bad, v)
					}
				}
			}
			if last || r.missing == 0 {
				return r, bad
			}
		}
		time.Sleep(l.pace)
	}
}
