package chaos

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// sequences gathers what each container had and what came of it.
func (w *world) sequences() (all []*sequence, strangers int, err error) {
	type key struct{ id, std string }
	by := map[key]*sequence{}
	for _, x := range w.writers {
		x.mu.Lock()
		lives := slices.Clone(x.lives)
		x.mu.Unlock()
		for _, l := range lives {
			lines, err := l.witness.lines()
			if err != nil {
				return nil, 0, err
			}
			for _, std := range []string{"stdout", "stderr"} {
				q := &sequence{life: l, spec: x.spec, std: std, written: l.written(std), byFile: x.spec.Driver == "" && (w.p.Reader == "file" || w.p.Reader == "auto")}
				if x.spec.TTY && std == "stdout" {
					q.written = append(q.written, l.written("stderr")...) // both are one, in no certain order
				}
				by[key{l.id, std}] = q
				all = append(all, q)
			}
			for _, line := range lines {
				if x.spec.TTY {
					line.text = strings.TrimSuffix(line.text, "\r")
				}
				if w.sink.files != "" {
					line.text = string([]rune(line.text)) // JSON holds nothing else
				}
				q := by[key{l.id, line.std}]
				q.want = append(q.want, line)
			}
		}
	}
	chunks, _ := w.sink.all()
	for _, c := range chunks {
		parts := map[*sequence][]record{}
		for _, r := range c.records {
			q := by[key{r.id, r.std}]
			if q == nil {
				strangers++
				continue
			}
			parts[q] = append(parts[q], r)
		}
		for q, records := range parts {
			q.chunks = append(q.chunks, records)
		}
	}
	return all, strangers, nil
}

// Result is what a plan has shown.
type Result struct {
	Plan    *Plan
	Short   *Plan  // one that finds the same with less, nil: none was looked for
	Engine  string // as it says
	version string // for docker/engine.sh
	Took    time.Duration
	Lines   int // that the Engine stored
	Came    int
	Missing int            // of those
	open    int            // of the missing ones, without a rule
	Excused map[string]int // of the missing ones, by rule
	Doubled int            // after kills
	Twice   int            // chunks that Fluent Bit itself sent twice
	Unseen  int            // that came and no witness saw
	Lost    int            // by the Engine itself
	Did     map[string]int // steps, by kind
	Finds   []string
	Dir     string // of its files, where there are finds
	log     []string
}

// doubledBytes is how much may come again after a kill: a chunk and a batch of what was not acknowledged, and chunks that were
// on their way in each of the output's two workers.
const doubledBytes = 8 << 20

// judge compares what was written with what came, so far.
func (w *world) judge() (*Result, error) {
	w.mu.Lock()
	r := &Result{Plan: w.p, Engine: w.e.Version, Took: time.Since(w.began), Excused: map[string]int{}, Did: maps.Clone(w.did), Finds: slices.Clone(w.finds), Dir: w.dir}
	kills, downs := slices.Clone(w.kills), slices.Clone(w.downs)
	w.mu.Unlock()
	all, strangers, err := w.sequences()
	if err != nil {
		return nil, err
	}
	w.sink.mu.Lock()
	r.Twice = w.sink.twice
	w.sink.mu.Unlock()
	if r.Twice > 0 && len(downs) == 0 {
		r.find("Fluent Bit sent %d chunks twice, although nobody ended it", r.Twice)
	}
	if strangers > 0 {
		r.find("%d records of no container of the plan", strangers)
	}
	log := w.agent.said()
	said := sayings(log)
	bytes := 0
	for _, q := range all {
		q.compare()
		r.Lines += len(q.want)
		r.Missing += len(q.missing)
		r.Doubled += q.doubled
		r.Unseen += q.unseen
		r.Lost += q.lost
		bytes += q.bytes
		for _, c := range q.chunks {
			r.Came += len(c)
		}
		var wrong []string
		not := map[string]int{}
		for _, i := range q.missing {
			rule, why := w.excuse(q, i, said, log, downs)
			if rule != "" {
				r.Excused[rule]++
				continue
			}
			not[why]++
			r.open++
		}
		for why, n := range not {
			wrong = append(wrong, fmt.Sprintf("%d lines are missing (%s)", n, why))
		}
		mayDouble := len(kills) > 0 || strings.Contains(log, "no available chunk") && (len(downs) > 0 || strings.Contains(log, writeFailed))
		if q.doubled > 0 && !mayDouble {
			wrong = append(wrong, fmt.Sprintf("%d lines came twice, and nobody killed Fluent Bit", q.doubled))
		}
		late := said.has(q.id, "were delivered late")
		if q.disorder > 0 && !late {
			wrong = append(wrong, fmt.Sprintf("%d lines are out of order", q.disorder))
		}
		if q.mistimed > 0 {
			wrong = append(wrong, fmt.Sprintf("%d lines have another time", q.mistimed))
		}
		if q.foreign > 0 {
			wrong = append(wrong, fmt.Sprintf("%d lines were never written", q.foreign))
		}
		if q.pieces > 0 && len(downs) == 0 { // after a restart the last few records alone tell whether there are long lines
			wrong = append(wrong, fmt.Sprintf("%d pieces of lines come as whole ones", q.pieces))
		}
		if q.fragments > 0 && !late && !said.has(q.id, "gap: ") {
			wrong = append(wrong, fmt.Sprintf("%d lines lack a part, and no gap is said", q.fragments))
		}
		if gaps := said.has(q.id, "gap: lines"); gaps && len(q.missing) == 0 && q.unseen == 0 && q.lost == 0 && q.cut.IsZero() && !q.moved && q.spec.MaxSize == 0 {
			if !slices.ContainsFunc(all, func(o *sequence) bool { return o.life == q.life && (len(o.missing) > 0 || o.lost > 0) }) {
				wrong = append(wrong, "a gap is said, and nothing is missing")
			}
		}
		if len(wrong) > 0 {
			r.find("%s %s (%s, %s): %s; %s", q.names[0], q.std, w.p.Reader, driver(q.spec), strings.Join(wrong, ", "), strings.Join(q.examples, " | "))
		}
	}
	if n := len(kills); n > 0 && bytes > n*doubledBytes {
		r.find("%d bytes came twice after %d kills", bytes, n)
	}
	for _, bad := range []string{"panic", "SIGSEGV", "fatal error: ", "DATA RACE", "capture did not stop in time"} {
		if i := strings.Index(log, bad); i >= 0 {
			r.find("Fluent Bit's log has %q: %.300s", bad, log[i:])
		}
	}
	for _, text := range w.misjudged() {
		r.find("%s", text)
	}
	w.mu.Lock()
	r.log = slices.Clone(w.log)
	w.mu.Unlock()
	return r, nil
}

func (r *Result) find(format string, args ...any) {
	r.Finds = append(r.Finds, fmt.Sprintf(format, args...))
}

func driver(c Container) string {
	text := c.Driver
	if text == "" {
		text = "json-file"
	}
	if c.TTY {
		text += " of a TTY"
	}
	if c.MaxSize > 0 {
		text += fmt.Sprintf(" with max-size=%d max-file=%d compress=%v", c.MaxSize, c.MaxFile, c.Compress)
	}
	return text
}

// keep saves what is needed to understand the finds.
func (w *world) keep(r *Result) error {
	if len(r.Finds) == 0 {
		return nil
	}
	all, _, err := w.sequences()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, q := range all {
		fmt.Fprintf(&b, "==== %s %s %s: stored\n", q.id[:12], strings.Join(q.names, " "), q.std)
		for i, l := range q.want {
			fmt.Fprintf(&b, "%d %s kept=%v %s\n", i, l.at.UTC().Format(time.RFC3339Nano), l.kept, brief(l.text))
		}
		fmt.Fprintf(&b, "==== %s %s: came\n", q.id[:12], q.std)
		for k, c := range q.chunks {
			for _, l := range c {
				fmt.Fprintf(&b, "chunk %d %s partial=%v %s\n", k, l.at.UTC().Format(time.RFC3339Nano), l.partial, brief(l.text))
			}
		}
	}
	for _, l := range w.health.all() {
		fmt.Fprintf(&b, "readyz %8.3f %d %s\n", l.at.Sub(w.began).Seconds(), l.status, strings.Join(l.problems, "; "))
	}
	return os.WriteFile(w.dir+"/lines.txt", []byte(b.String()), 0o600)
}
