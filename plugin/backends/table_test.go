package backends

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"fluent-bit-docker-logs/plugin/e2e"
)

// row is what one case found in one backend.
type row struct {
	what, backend                                 string
	lines                                         int
	missing, doubled, misplaced, mistimed, others int
	after                                         time.Duration // from the last line written to the last one there
}

// add counts the faults of one sequence of lines.
func (r *row) add(v e2e.Verdict) {
	r.lines += v.Want
	r.missing += v.Missing.Count
	r.doubled += v.Doubled.Count
	r.misplaced += v.Misplaced.Count
	r.mistimed += v.Mistimed.Count
	r.others += v.Foreign.Count
}

// table collects the rows of a run.
type table struct {
	mu    sync.Mutex
	rows  []row
	begin time.Time
}

var results = table{begin: time.Now()}

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// print shows it, a zero as a dot, so that the eye finds what is none.
func (t *table) print(to io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\tlines\tmissing\tdoubled\tout of order\tother time\tnever written\tall there after\t")
	last := ""
	for _, r := range t.rows {
		what := r.what
		if what == last {
			what = ""
		}
		last = r.what
		fmt.Fprintf(w, "%s\t%s\t%s\t", what, r.backend, thousands(r.lines))
		for _, n := range []int{r.missing, r.doubled, r.misplaced, r.mistimed, r.others} {
			fmt.Fprintf(w, "%s\t", thousands(n))
		}
		after := "-" // not known where the number of lines says little
		if r.missing+r.doubled == 0 {
			after = r.after.Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(w, "%s\t\n", after)
	}
	fmt.Fprintln(to)
	_ = w.Flush()
	fmt.Fprintf(to, "\n%v in all\n\n", time.Since(t.begin).Round(time.Second))
}

// thousands writes a number with commas, and 0 as a dot.
func thousands(n int) string {
	if n == 0 {
		return "."
	}
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
