package chaos

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

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
		for _, i := range byTime[r.at.UnixNano()] { // of which the witness saw a part
			if q.want[i].text != "" && strings.Contains(r.text, q.want[i].text) {
				seen[i]++
			}
		}
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

// isPiece says whether text is a line without its beginning, its end, or something in the middle; also several of them.
func isPiece(text, line string) bool {
	if len(line) <= chunkSize || len(text) >= len(line) {
		return false
	}
	head := 0
	for head < len(text) && text[head] == line[head] {
		head++
	}
	return strings.HasSuffix(line, text[head:]) || len(text) > 1000 && (strings.Contains(line, text) || isOfPieces(text, line))
}

// isOfPieces says whether text is some of the records of a line, in their order.
func isOfPieces(text, line string) bool {
	for ; line != ""; line = line[min(chunkSize, len(line)):] {
		text = strings.TrimPrefix(text, line[:min(chunkSize, len(line))])
	}
	return text == ""
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
