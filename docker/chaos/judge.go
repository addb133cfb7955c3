package chaos

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rules by which a line may be missing, in the words of README's Guarantees.
const (
	ruleBefore    = "of a container that was stopped at the first start of Fluent Bit, and not started since"
	ruleRotated   = "rotated away before it was read, said as a gap"
	ruleFirst     = "rotated away before the first look at the log"
	ruleOutrun    = "left out by the Engine's API and rotated away before a comparison, which nobody can know"
	ruleTruncated = "written before somebody truncated or moved the log file"
	ruleRemoved   = "the container was removed, said"
	ruleUnseen    = "the container was removed before any event or list told of it: the Engine was away, or Fluent Bit"
	ruleDown      = "the container was removed while Fluent Bit was down"
	ruleMemory    = "in Fluent Bit's memory when it was killed, or stopped while the output took nothing"
	ruleDisk      = "Fluent Bit could not write into its chunk, the disk was full"
)

// writeFailed is what Fluent Bit says when it loses what it has counted: which of the appends beside it was refused, nobody can
// know then.
const writeFailed = "error writing data from"

// sequence is what one std stream of one container had, and what came of it.
type sequence struct {
	*life
	spec    Container
	std     string
	byFile  bool   // as far as is known
	want    []line // as the Engine stored it
	chunks  [][]record
	written []string // by the journal

	missing   []int // of want
	first     int   // of those that came
	doubled   int
	bytes     int // of what is doubled
	disorder  int
	mistimed  int
	foreign   int
	fragments int // that came flagged
	pieces    int // that came without a flag, although the reader has met a long line
	long      bool
	unseen    int // that came, were written, and are not in what the witness saw
	lost      int // by the Engine, as far as the witness saw all
	examples  []string
}

func (q *sequence) example(format string, args ...any) {
	if len(q.examples) < 5 {
		q.examples = append(q.examples, fmt.Sprintf(format, args...))
	}
}

type place struct {
	at   int64
	text string
}

// compare finds each line that came among those that the Engine stored.
func (q *sequence) compare() {
	places, byText := map[place][]int{}, map[string][]int{}
	byTime := map[int64][]int{}
	for i, l := range q.want {
		places[place{l.at.UnixNano(), l.text}] = append(places[place{l.at.UnixNano(), l.text}], i)
		byText[l.text] = append(byText[l.text], i)
		byTime[l.at.UnixNano()] = append(byTime[l.at.UnixNano()], i)
	}
	wrote := map[string]bool{}
	for _, text := range q.written {
		wrote[stored(text, q.spec)] = true
	}
	seen := make([]int, len(q.want))
	spans := [][2]int{}
	for _, c := range q.chunks {
		last, first := -1, -1
		for _, r := range c {
			at := places[place{r.at.UnixNano(), r.text}]
			if len(at) == 0 {
				if from, to := q.joined(r, byTime); to > 0 {
					for i := from; i < to; i++ {
						seen[i]++
					}
					last = max(last, to-1)
					continue
				}
				q.stranger(r, byText, byTime, wrote, seen)
				continue
			}
			i := at[0]
			q.long = q.long || len(r.text) > chunkSize
			for _, k := range at {
				if seen[k] < seen[i] {
					i = k
				}
			}
			if seen[i]++; seen[i] > 1 {
				q.doubled++
				q.bytes += len(r.text)
				q.example("doubled: #%d %s", i, brief(r.text))
			}
			if i < last {
				q.disorder++
				q.example("#%d behind #%d in one chunk: %s", i, last, brief(r.text))
			}
			if first < 0 {
				first = i
			}
			last = max(last, i)
		}
		if first >= 0 {
			spans = append(spans, [2]int{first, last})
		}
	}
	// Chunks come in no certain order, but each holds what was read in a row.
	if q.doubled == 0 {
		slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
		for k := 1; k < len(spans); k++ {
			if spans[k][0] <= spans[k-1][1] {
				q.disorder++
				q.example("a chunk with #%d to #%d, and another with #%d to #%d", spans[k-1][0], spans[k-1][1], spans[k][0], spans[k][1])
			}
		}
	}
	q.first = len(q.want)
	if i := slices.IndexFunc(seen, func(n int) bool { return n > 0 }); i >= 0 {
		q.first = i
	}
	for i, n := range seen {
		if n == 0 {
			q.missing = append(q.missing, i)
		}
	}
	for _, i := range q.missing {
		q.example("missing: #%d of %d, %s, %s", i, len(q.want), q.want[i].at.UTC().Format(time.RFC3339Nano), brief(q.want[i].text))
	}
	q.loss()
}

// joined are lines that came as one, from the first to the one behind the last; none as a rule. Of a TTY nothing tells the end
// of a long line that a run has left unterminated.
func (q *sequence) joined(r record, byTime map[int64][]int) (from, to int) {
	if !q.spec.TTY || len(r.text) <= chunkSize {
		return 0, 0
	}
	text := stamps.ReplaceAllString(r.text, "")
	for _, i := range byTime[r.at.UnixNano()] {
		rest, ok := strings.CutPrefix(text, q.want[i].text)
		for k := i + 1; ok && rest != "" && k < len(q.want); k++ {
			if rest, ok = strings.CutPrefix(rest, q.want[k].text); ok && rest == "" {
				return i, k + 1
			}
		}
	}
	return 0, 0
}

// stamps are how the Engine dates a record. The CR before may have been the terminal's.
var stamps = regexp.MustCompile(`\r?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z `)

// chunkSize is what the Engine keeps of a line in one piece.
const chunkSize = 16 << 10

// stranger is a record that the Engine does not have like that.
func (q *sequence) stranger(r record, byText map[string][]int, byTime map[int64][]int, wrote map[string]bool, seen []int) {
	switch {
	case r.partial && slices.ContainsFunc(byTime[r.at.UnixNano()], func(i int) bool { return strings.Contains(q.want[i].text, r.text) }):
		q.fragments++
	case len(byText[r.text]) > 0 && !q.witness.incomplete && !q.holes():
		i := byText[r.text][0]
		for _, k := range byText[r.text] {
			if seen[k] == 0 {
				i = k
				break
			}
		}
		seen[i]++
		q.mistimed++
		q.example("time %s instead of %s: %s", r.at.UTC().Format(time.RFC3339Nano), q.want[i].at.UTC().Format(time.RFC3339Nano), brief(r.text))
	case wrote[r.text] || r.partial, q.spec.TTY && q.spec.Std == "both" && q.holes(): // of two that write to one terminal lines are mixed
		q.unseen++
	case q.spec.MaxSize > 0 && slices.ContainsFunc(q.written, func(text string) bool { return isPiece(r.text, stored(text, q.spec)) }):
		q.unseen++
		// Until it has met a long line, the reader cannot know that what is behind a gap may be a piece of one. What the API
		// leaves out in the middle of a line it leaves out without a word.
		if q.long && q.byFile {
			q.pieces++
			q.example("a piece of a line: %s %s", r.at.UTC().Format(time.RFC3339Nano), brief(r.text))
		}
	default:
		q.foreign++
		q.example("never written: %s %s", r.at.UTC().Format(time.RFC3339Nano), brief(r.text))
	}
}

// isPiece says whether text is a line without its beginning, its end, or something in the middle.
func isPiece(text, line string) bool {
	if len(line) <= chunkSize || len(text) >= len(line) {
		return false
	}
	head := 0
	for head < len(text) && text[head] == line[head] {
		head++
	}
	return strings.HasSuffix(line, text[head:]) || len(text) > 1000 && strings.Contains(line, text)
}

// holes says whether the witness may not have seen all: one file, which Engine 20.10 truncates where others make a new one, or
// rotations that come faster than one can look.
func (q *sequence) holes() bool { return q.spec.MaxSize > 0 }

// loss counts what was written and is not in the Engine's log, as far as the witness saw that.
func (q *sequence) loss() {
	have := map[string]int{}
	for _, l := range q.want {
		have[l.text]++
	}
	for _, text := range q.written {
		if text = stored(text, q.spec); have[text] > 0 {
			have[text]--
		} else {
			q.lost++
		}
	}
}

// stored is what the log driver makes of a line: json-file replaces each byte that is no UTF-8, also where it cuts a long line
// inside of a character.
func stored(text string, c Container) string {
	if c.Driver != "" {
		return text
	}
	var b strings.Builder
	for from := 0; from < len(text); from += chunkSize {
		b.WriteString(string([]rune(text[from:min(from+chunkSize, len(text))])))
	}
	return b.String()
}

func brief(text string) string {
	if len(text) > 60 {
		return fmt.Sprintf("%.60q... (%d bytes)", text, len(text))
	}
	return fmt.Sprintf("%q", text)
}

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
		if q.pieces > 0 {
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

// excuse is the rule by which line i of q may be missing; else why it may not.
func (w *world) excuse(q *sequence, i int, said said, log string, downs []span) (rule, why string) {
	first := firstLook(log).Add(time.Second)
	gap := said.has(q.id, "gap: ")
	removed := !q.removed.IsZero()
	switch {
	case q.started.Before(first) && !slices.ContainsFunc(q.want, func(l line) bool { return l.at.After(first) }):
		return ruleBefore, ""
	case w.p.Storage == "memory" && slices.ContainsFunc(downs, func(s span) bool {
		return (s.kind == "agent is killed" || w.did["sink refuses"]+w.did["sink hangs"] > 0) && q.want[i].at.Before(s.from)
	}):
		return ruleMemory, ""
	case w.did["disk full"] > 0 && strings.Contains(log, writeFailed):
		return ruleDisk, ""
	case gap && (q.moved || q.want[i].at.Before(q.cut.Add(2*time.Second))):
		return ruleTruncated, ""
	case removed && slices.ContainsFunc(downs, func(s span) bool {
		return s.meets(q.wentAt().Add(-5*time.Second), q.wentAt().Add(5*time.Second))
	}):
		return ruleDown, ""
	case removed && (said.has(q.id, "was removed before its log") || said.has(q.id, "was removed while ")):
		return ruleRemoved, ""
	case q.want[i].kept && !removed:
		return "", "the Engine still has them"
	case q.spec.MaxSize > 0 && gap:
		return ruleRotated, ""
	case (q.spec.MaxSize > 0 || q.moved || !q.cut.IsZero()) && i < q.first:
		return ruleFirst, ""
	case removed && len(said[q.id[:12]]) == 0 && w.ill(q.created, q.wentAt()):
		return ruleUnseen, ""
	case q.spec.MaxSize > 0 && !q.byFile:
		return ruleOutrun, ""
	case removed:
		return "", "the container was removed, and nothing is said"
	}
	return "", "nothing is said"
}

// ill says whether anything was wrong with the Engine, the way to it, or Fluent Bit between two moments.
func (w *world) ill(from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(append(slices.Clone(w.wounds), w.downs...), func(s span) bool {
		return s.meets(from.Add(-15*time.Second), to) // so long it may take to connect again
	})
}

// firstLook is when the plugin first saw the Engine's containers.
func firstLook(log string) time.Time {
	if m := connected.FindStringSubmatch(log); m != nil {
		at, _ := time.ParseInLocation("2006/01/02 15:04:05", m[1], time.Local)
		return at
	}
	return time.Now() // it has not yet
}

// The host does not say when.
var connected = regexp.MustCompile(`\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d).*connected to the Engine`)

// said is what the log says of each container, by its short id.
type said map[string][]string

var containerID = regexp.MustCompile(` container=\S+ id=(\S+)`)

func sayings(log string) said {
	s := said{}
	for text := range strings.Lines(log) {
		if m := containerID.FindStringSubmatch(text); m != nil {
			s[m[1]] = append(s[m[1]], text)
		}
	}
	return s
}

func (s said) has(id, text string) bool {
	return slices.ContainsFunc(s[id[:12]], func(l string) bool { return strings.Contains(l, text) })
}

// misjudged says when /readyz was wrong.
func (w *world) misjudged() (all []string) {
	w.mu.Lock()
	wounds, downs := slices.Clone(w.wounds), slices.Clone(w.downs)
	w.mu.Unlock()
	const after = 25 * time.Second // what is tried again after a while may fail until then
	well := func(at time.Time) bool {
		return !slices.ContainsFunc(append(slices.Clone(wounds), downs...), func(s span) bool { return s.meets(at.Add(-after), at) })
	}
	var since time.Time
	for _, l := range w.health.all() {
		if l.status != http.StatusServiceUnavailable || !well(l.at) {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = l.at
		}
		if d := l.at.Sub(since); d > 5*time.Second {
			all = append(all, fmt.Sprintf("not ready for %v although nothing is wrong: %s", d.Round(time.Second), strings.Join(l.problems, "; ")))
			break
		}
	}
	for _, s := range wounds {
		within, ok := w.noticed(s.kind)
		if !ok || s.to.Sub(s.from) < within || slices.ContainsFunc(downs, func(d span) bool { return d.meets(s.from.Add(-startTime), s.to) }) {
			continue
		}
		ready := 0
		for _, l := range w.health.all() {
			switch {
			case !s.meets(l.at, l.at):
			case l.status == http.StatusServiceUnavailable:
				ready = -1 << 30
			case l.status == http.StatusOK:
				ready++
			}
		}
		if ready > 3 {
			all = append(all, fmt.Sprintf("ready all the time while it was so for %v: %s", s.to.Sub(s.from).Round(time.Second), s.kind))
		}
	}
	return all
}

// noticed is how long a fault may last before /readyz says so; ok is false of one that it does not name.
func (w *world) noticed(kind string) (within time.Duration, ok bool) {
	const busy = 3 * time.Second // so may a machine be
	switch kind {
	case "proxy away", "engine is killed":
		return busy, true
	case "engine stops", "half open": // a heartbeat, and how long its answer is waited for
		return time.Duration(w.p.Heartbeat)*time.Millisecond + 10*time.Second + busy, true
	case "disk full": // looked at each 15 seconds
		return 15*time.Second + busy, true
	}
	return 0, false
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
