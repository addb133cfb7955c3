package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	mostRows     = 100 // containers that are shown unless all are asked for
	mostTroubles = 3   // containers that the banner names
	mostText     = 600 // characters of an error
	mostName     = 120 // characters of a name
)

// view is the page as the template takes it.
type view struct {
	Status
	Query         Query
	Title         string
	Verdict, Kind string
	Engines       []string
	Banner        []notice
	Many          bool // instances
	Tiles, More   []tile
	Heads         []head
	Rows          []*row
	Left          int // containers that match and are not shown
	AllURL        string
	EngineUp      bool
}

// notice is something that is wrong.
type notice struct {
	Kind, Of, Text string // Of: a container or an instance; may be ""
	When           when
	Cause          string
	OfAll          bool // its cause stands nowhere else
}

// when is since when something is so, and what comes then.
type when struct {
	Since     time.Time
	Ago, Then string
}

// tile is a figure.
type tile struct {
	Title, Value, Note, Kind string
	Spark, Says              string
	Bar                      []part
}

// part is a piece of a bar of 100.
type part struct {
	Kind        string
	From, Width float64
}

// row is a container.
type row struct {
	Container
	Shown, Kind       string
	Ends, Lasts       when // of one that does not run, or is being opened; of one that is not read
	Spark, Rate, Says string
	Open              string
	MayLag            string
}

// head is the head of a column.
type head struct {
	Title, URL, Sorted string
	Number             bool
}

// column is how a column sorts.
type column struct {
	key, title string
	number     bool
	order      func(a, b *row) int
}

var columns = []column{
	{"name", "Container", false, func(a, b *row) int { return 0 }},
	{"", "State", false, func(a, b *row) int { return cmp.Compare(worst[a.Shown], worst[b.Shown]) }},
	{"rate", "Lines a second", true, func(a, b *row) int { return cmp.Compare(last(b.Rates), last(a.Rates)) }},
	{"lines", "Lines", true, func(a, b *row) int { return cmp.Compare(b.Lines, a.Lines) }},
	{"lag", "Lag", true, func(a, b *row) int { return cmp.Compare(b.Lag, a.Lag) }},
	{"reader", "Reader", false, func(a, b *row) int { return cmp.Compare(a.Reader, b.Reader) }},
	{"position", "Position", false, func(a, b *row) int { return b.Position.Compare(a.Position) }},
}

// last is the newest rate.
func last(rates []float32) float32 {
	if len(rates) == 0 {
		return -1
	}
	return rates[len(rates)-1]
}

func newView(s Status, q Query) *view {
	v := &view{Status: s, Query: q, Many: len(s.Instances) > 1, EngineUp: true}
	engines := map[string]*Engine{}
	for i := range s.Instances {
		engines[s.Instances[i].Name] = &s.Instances[i].Engine
		v.EngineUp = v.EngineUp && s.Instances[i].Engine.Up
	}
	rows := make([]*row, 0, len(s.Containers))
	for i := range s.Containers {
		c := &s.Containers[i]
		e := engines[c.Instance]
		shown := c.state(e == nil || e.Up)
		rows = append(rows, &row{Container: *c, Shown: shown, Kind: kind(shown)})
	}
	byTrouble := columns[1].order
	byName := func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Or(byTrouble(a, b), byName(a, b)) })
	n := v.tally(rows)
	v.banner(rows)
	v.said()
	v.verdict(n)
	v.tiles(n)
	v.below()
	v.table(rows, byName)
	return v
}

// fill adds what is written of a container that is shown. There may be many that are not.
func (v *view) fill(r *row) {
	r.Name, r.Error = clip(r.Name, mostName), clip(r.Error, mostText)
	switch r.Shown {
	case Retrying:
		r.Lasts = v.since(r.Since, v.next(r.NextTry))
	case Unreadable:
		r.Lasts = v.since(r.Since, "not tried again until it is created anew")
	case NotInspected, Waiting, Blocked:
		r.Lasts = v.since(r.Since, "")
	case Opening, Stopped, Removed:
		r.Ends = v.since(r.Since, "")
	}
	r.MayLag = span(r.Lag)
	if isNotRead(r.Shown) && r.Lag <= 0 {
		r.MayLag = "unknown"
	}
	r.Spark, r.Rate, r.Says = spark(r.Rates)
	r.Open = ""
	if r.Age > 0 && r.Shown != NoEngine {
		r.Open = "open " + span(r.Age)
	}
	if r.Rotations > 0 {
		r.Open = join(r.Open, several(int(r.Rotations), "rotation", "rotations"))
	}
}

// spark is a sparkline, its last value, and what it says to those who do not see it.
func spark(rates []float32) (line, rate, says string) {
	if len(rates) == 0 {
		return "", "…", ""
	}
	return sparkPoints(rates), count(float64(last(rates))),
		fmt.Sprintf("in the last %s at most %s lines a second", span(Every.Seconds()*float64(len(rates))), count(float64(peak(rates))))
}

// since is from when on something is so.
func (v *view) since(t time.Time, then string) when {
	w := when{Since: t, Then: then}
	if !t.IsZero() {
		w.Ago = span(max(1, v.At.Sub(t).Seconds()))
	}
	return w
}

// next is when something is tried again.
func (v *view) next(t time.Time) string {
	if in := t.Sub(v.At).Seconds(); in >= 1 {
		return fmt.Sprintf("tried again at %s, in %s", t.UTC().Format("15:04:05 UTC"), span(in))
	}
	return "tried again at this moment"
}

// join puts a comma between texts that are not empty.
func join(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), ", ")
}

// tally is how many containers there are, by what becomes of what they write.
type tally struct {
	all, read, opening, notRead, stopped, behind int
	readers                                      map[string]int
	lag                                          float64
}

func (v *view) tally(rows []*row) tally {
	n := tally{all: len(rows), readers: map[string]int{}}
	for _, r := range rows {
		switch {
		case isNotRead(r.Shown):
			n.notRead++
			n.lag = max(n.lag, r.Lag)
		case r.Shown == Opening:
			n.opening++
			n.lag = max(n.lag, r.Lag)
		case isRead(r.Shown):
			n.read++
			n.readers[r.Reader]++
			n.lag = max(n.lag, r.Lag)
			if r.Shown == Behind {
				n.behind++
			}
		default:
			n.stopped++
		}
	}
	return n
}

// banner says what is wrong: first what concerns all, then each container.
func (v *view) banner(rows []*row) {
	for i := range v.Instances {
		in := &v.Instances[i]
		of := ""
		if v.Many {
			of = clip(in.Name, mostName)
		}
		if e := &in.Engine; !e.Up {
			v.Banner = append(v.Banner, notice{Kind: "bad", Of: of, Text: "The Engine does not answer:",
				When: v.since(e.Since, v.next(e.NextTry)), Cause: clip(e.Error, mostText), OfAll: true})
		}
		for _, p := range in.Problems {
			v.Banner = append(v.Banner, notice{Kind: "bad", Of: of, Text: clip(p, mostText)})
		}
	}
	var blocked *row // since when
	more, blocks := 0, 0
	for _, r := range rows {
		if r.Shown == Blocked {
			blocks++
			if blocked == nil || r.Since.Before(blocked.Since) {
				blocked = r
			}
		}
		if r.Kind != "bad" {
			continue
		}
		if more++; more > mostTroubles {
			continue
		}
		v.fill(r)
		of := r.Name
		if v.Many {
			of += " (" + clip(r.Instance, mostName) + ")"
		}
		v.Banner = append(v.Banner, notice{Kind: "bad", Of: of, Text: "is not read:", When: r.Lasts, Cause: r.Error})
	}
	if more > mostTroubles {
		v.Banner = append(v.Banner, notice{Kind: "bad", Text: "… and " + several(more-mostTroubles, "more is not read.", "more are not read.")})
	}
	if blocked != nil {
		v.Banner = append(v.Banner, notice{Kind: "wait", Text: "Fluent Bit takes no records at the moment: " + several(blocks, "container waits", "containers wait"), When: v.since(blocked.Since, "")})
	}
}

// said leaves out last warnings that the banner has.
func (v *view) said() {
	v.Instances = slices.Clone(v.Instances)
	for i := range v.Instances {
		if slices.ContainsFunc(v.Banner, func(n notice) bool { return n.Cause != "" && strings.HasSuffix(v.Instances[i].Said, n.Cause) }) {
			v.Instances[i].Said = ""
		}
	}
}

// verdict is the page in a word.
func (v *view) verdict(n tally) {
	v.Verdict, v.Kind, v.Title = "ready", "good", "docker_logs"
	ready := true
	for i := range v.Instances {
		ready = ready && v.Instances[i].Ready
	}
	switch {
	case !v.EngineUp:
		v.Verdict, v.Kind = "no Engine", "bad"
	case !ready:
		v.Verdict, v.Kind = "degraded", "bad"
	case n.notRead > 0:
		v.Verdict, v.Kind = fmt.Sprintf("ready, %d not read", n.notRead), "wait"
	}
	if v.Kind != "good" {
		v.Title = "⚠ " + v.Verdict + " · docker_logs"
	}
	for i := range v.Instances {
		e := &v.Instances[i].Engine
		text := "no Engine yet"
		switch {
		case e.Up:
			text = fmt.Sprintf("Engine %s, API %s", e.Version, e.API)
		case e.Version != "":
			text = "no Engine, the last was " + e.Version
		}
		if text = clip(text, mostName); !slices.Contains(v.Engines, text) {
			v.Engines = append(v.Engines, text)
		}
	}
}

// table is the containers that are asked for, in the order that is.
func (v *view) table(rows []*row, byName func(a, b *row) int) {
	sort := columns[1]
	for _, c := range columns {
		if c.key == v.Query.Sort {
			sort = c
		}
	}
	for _, c := range columns {
		q := v.Query
		q.Sort = c.key
		h := head{Title: c.title, URL: q.url(), Number: c.number}
		if c.key == sort.key {
			h.Sorted = map[bool]string{true: "descending", false: "ascending"}[c.number || c.key == "position"]
		}
		v.Heads = append(v.Heads, h)
	}
	words := strings.ToLower(v.Query.Filter)
	for _, r := range rows {
		if words == "" || strings.Contains(strings.ToLower(strings.Join([]string{r.Name, r.ID, r.Shown, r.Reader, r.Instance}, " ")), words) {
			v.Rows = append(v.Rows, r)
		}
	}
	if sort.key != "" {
		slices.SortStableFunc(v.Rows, func(a, b *row) int { return cmp.Or(sort.order(a, b), byName(a, b)) })
	}
	if n := len(v.Rows); n > mostRows && !v.Query.All {
		v.Rows, v.Left = v.Rows[:mostRows], n-mostRows
	}
	for _, r := range v.Rows {
		v.fill(r)
	}
	q := v.Query
	q.All = true
	v.AllURL = q.url()
}
