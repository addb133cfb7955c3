package page

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// drawn is the page as it is sent.
func drawn(t testing.TB, s Status, q Query) string {
	t.Helper()
	var b strings.Builder
	if err := Render(&b, s, q); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var (
	nameOf   = regexp.MustCompile(`<th role="rowheader" scope="row"><bdi>(.*?)</bdi>`)
	stateOf  = regexp.MustCompile(`data-state="(.*?)"`)
	noticeOf = regexp.MustCompile(`(?s)<li class="[a-z ]+">(.*?)</li>`)
	tags     = regexp.MustCompile(`<[^>]*>`)
	drawing  = regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`)
)

func found(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// notices are the banner's, as text.
func notices(text string) (all []string) {
	for _, n := range found(noticeOf, text) {
		all = append(all, strings.TrimSpace(strings.Join(strings.Fields(tags.ReplaceAllString(strings.ReplaceAll(n, `<span class="cause">`, " | "), "")), " ")))
	}
	return all
}

// each is a container in each state.
func each() Status {
	s := sample(0, up)
	add := func(name, state string, edit func(*Container)) {
		c := Container{Instance: "docker_logs.0", ID: strings.Repeat("ab", 32), Name: name, State: state, Reader: "file", Since: at.Add(-time.Minute), Position: at}
		if edit != nil {
			edit(&c)
		}
		s.Containers = append(s.Containers, c)
	}
	add("a-reads", Reading, nil)
	add("b-reads", Reading, nil)
	add("c-lags", Reading, func(c *Container) { c.Lag = 90 })
	add("d-stopped", Stopped, nil)
	add("e-removed", Removed, nil)
	add("f-opens", Opening, nil)
	add("g-blocked", Blocked, nil)
	add("h-unreadable", Unreadable, func(c *Container) { c.Error, c.ErrorAt = "driver none", at.Add(-time.Minute) })
	add("i-retried", Reading, func(c *Container) { c.Failing, c.Error, c.ErrorAt = true, "input/output error", at.Add(-time.Minute) })
	add("j-retries", Retrying, func(c *Container) { c.NextTry = at.Add(12 * time.Second) })
	add("k-waits", Waiting, nil)
	add("l-unknown", NotInspected, nil)
	return s
}

// TestTroubleFirst: containers stand in the order of their trouble, then of their names.
func TestTroubleFirst(t *testing.T) {
	text := drawn(t, each(), Query{})
	names := []string{"i-retried", "j-retries", "l-unknown", "h-unreadable", "k-waits", "g-blocked", "c-lags", "f-opens", "a-reads", "b-reads", "d-stopped", "e-removed"}
	states := []string{Retrying, Retrying, NotInspected, Unreadable, Waiting, Blocked, Behind, Opening, Reading, Reading, Stopped, Removed}
	if got := found(nameOf, text); !slices.Equal(got, names) {
		t.Errorf("the order is %q", got)
	}
	if got := found(stateOf, text); !slices.Equal(got, states) {
		t.Errorf("the states are %q", got)
	}
}

// TestBanner: it names who is not read, since when, when that is tried again, and why.
func TestBanner(t *testing.T) {
	want := []string{
		"i-retried is not read: since 2026-03-04 15:05:07 UTC (60 s), tried again at this moment | input/output error",
		"j-retries is not read: since 2026-03-04 15:05:07 UTC (60 s), tried again at 15:06:19 UTC, in 12 s",
		"l-unknown is not read: since 2026-03-04 15:05:07 UTC (60 s)",
		"… and 1 more is not read.",
		"Fluent Bit takes no records at the moment: 1 container waits since 2026-03-04 15:05:07 UTC (60 s)",
	}
	if got := notices(drawn(t, each(), Query{})); !slices.Equal(got, want) {
		t.Errorf("the banner says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s := each()
	s.Containers = slices.DeleteFunc(s.Containers, func(c Container) bool { return c.State != Unreadable })
	want = []string{"h-unreadable is not read: since 2026-03-04 15:05:07 UTC (60 s), not tried again until it is created anew | driver none"}
	if got := notices(drawn(t, s, Query{})); !slices.Equal(got, want) {
		t.Errorf("of one that cannot be read the banner says %q, want %q", got, want)
	}
	s = sample(5, down)
	s.Instances[0].Problems = []string{"a disk is nearly full: /d"}
	want = []string{
		"The Engine does not answer: since 2026-03-04 15:02:47 UTC (3 min), tried again at 15:06:14 UTC, in 7 s | " +
			"Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
		"a disk is nearly full: /d",
	}
	if got := notices(drawn(t, s, Query{})); !slices.Equal(got, want) {
		t.Errorf("without an Engine the banner says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := notices(drawn(t, sample(60, up), Query{})); got != nil {
		t.Errorf("all is well, and the banner says %q", got)
	}
	if got := notices(drawn(t, sample(60, halfBroken), Query{})); len(got) != mostTroubles+1 || got[mostTroubles] != "… and 21 more are not read." {
		t.Errorf("of 24 containers the banner says %q", got)
	}
}

// TestLastWarning: it is there with its time, and not said twice.
func TestLastWarning(t *testing.T) {
	for _, c := range []struct {
		said  string
		times int
	}{{"many file descriptors are open", 1}, {"i-retried: input/output error", 0}} {
		s := each()
		s.Instances[0].Said, s.Instances[0].SaidAt = c.said, at.Add(-48*time.Hour)
		if n := strings.Count(drawn(t, s, Query{}), "The last warning, 2026-03-02 15:06:07 UTC: <bdi>"+c.said+"<"); n != c.times {
			t.Errorf("%q is said %d times", c.said, n)
		}
	}
}

// TestNotReadIsCounted: in the page's word, in its title, and among the containers.
func TestNotReadIsCounted(t *testing.T) {
	for _, c := range []struct {
		s           Status
		word, title string
		tile        string
	}{
		{sample(60, up), "ready", "docker_logs", "Containers60 54 read (27 file, 15 follow, 12 poll), 6 stopped"},
		{each(), "ready, 6 not read", "⚠ ready, 6 not read · docker_logs", "Containers, 6 not read12 6 not read, 1 being opened, 3 read (3 file), 1 behind, 2 stopped"},
		{sample(5, down), "no Engine", "⚠ no Engine · docker_logs", "Containers, 5 not read5 5 not read"},
		{sample(0, up), "ready", "docker_logs", "Containers0 none is captured"},
	} {
		text := drawn(t, c.s, Query{})
		words := strings.ReplaceAll(strings.ReplaceAll(text, "</b>", " "), "<span", " <span")
		words = strings.Join(strings.Fields(tags.ReplaceAllString(words, "")), " ")
		if !strings.Contains(text, `role="status">`+c.word+"<") || !strings.Contains(text, "<title>"+c.title+"<") || !strings.Contains(words, c.tile) {
			t.Errorf("want %q, %q and %q in\n%s", c.word, c.title, c.tile, words[strings.LastIndex(words, "docker_logs "):])
		}
	}
}

// TestNothingIsGreenWithoutAnEngine, and what is not known is not said to be none.
func TestNothingIsGreenWithoutAnEngine(t *testing.T) {
	for _, n := range []int{0, 5, 60} {
		text := drawing.ReplaceAllString(drawn(t, sample(n, down), Query{}), "")
		for _, lie := range []string{`"good"`, "good ", `data-state="reading"`, "nothing was lost", ">Engine 28"} {
			if strings.Contains(text, lie) {
				t.Errorf("%d containers: the page has %s", n, lie)
			}
		}
		if !strings.Contains(text, "<dt>Lag</dt><dd><b>unknown</b>") || !strings.Contains(text, "no Engine, the last was 28.5.2") {
			t.Errorf("%d containers:\n%s", n, text)
		}
	}
	if text := drawn(t, sample(1, up), Query{}); !strings.Contains(text, `class="good" data-state="reading"`) {
		t.Error("a container that is read is not green with an Engine")
	}
}

// TestTimes: each has its zone, and its date unless it is to come.
func TestTimes(t *testing.T) {
	clock := regexp.MustCompile(`(tried again at |\d{4}-\d\d-\d\d.)?\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)?`)
	for _, engine := range []string{up, down, halfBroken} {
		for _, m := range clock.FindAllStringSubmatch(drawing.ReplaceAllString(drawn(t, sample(60, engine), Query{}), ""), -1) {
			if m[1] == "" || m[3] == "" {
				t.Errorf("%s: a time is %q", engine, m[0])
			}
		}
	}
}

// TestHostileText: what containers and the Engine wrote is text, and not too much of it.
func TestHostileText(t *testing.T) {
	s := sample(5, up)
	for i := range s.Containers {
		c := &s.Containers[i]
		c.Name, c.Error, c.ErrorAt, c.State, c.Failing = hostile+strings.Repeat("x", 1<<20), hostile+strings.Repeat("y", 1<<20), at, Reading, i == 0
		c.Reader, c.ID = hostile, hostile
	}
	in := &s.Instances[0]
	in.Name, in.Said, in.SaidAt, in.Problems = hostile, hostile+strings.Repeat("z", 1<<20), at, []string{hostile}
	in.Engine = Engine{Version: hostile, API: hostile, Error: hostile, Since: at}
	text := drawn(t, s, Query{Filter: hostile, Sort: hostile})
	text += drawn(t, s, Query{})
	if strings.Contains(text, "<img") || strings.Contains(text, `="">`) || len(text) > 80_000 {
		t.Errorf("%d bytes:\n%.20000s", len(text), text)
	}
	if n := strings.Count(text, "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;"); n < 15 {
		t.Errorf("the text is there %d times", n)
	}
}

// TestPolicy: it allows the style and the script that are there, and nothing else is there.
func TestPolicy(t *testing.T) {
	text := drawn(t, sample(60, halfBroken), Query{})
	for _, part := range []string{"style", "script"} {
		all := regexp.MustCompile(`(?s)<`+part+`>(.*?)</`+part+`>`).FindAllStringSubmatch(text, -1)
		if len(all) != 1 {
			t.Fatalf("there are %d of <%s>", len(all), part)
		}
		sum := sha256.Sum256([]byte(all[0][1]))
		if want := fmt.Sprintf("%s-src 'sha256-%s';", part, base64.StdEncoding.EncodeToString(sum[:])); !strings.Contains(Policy, want) {
			t.Errorf("the policy lacks %s: %s", want, Policy)
		}
	}
	if strings.Contains(Policy, "unsafe") || !strings.HasPrefix(Policy, "default-src 'none'") {
		t.Error(Policy)
	}
	for _, tag := range tags.FindAllString(drawing.ReplaceAllString(text, ""), -1) {
		if regexp.MustCompile(`\s(style|on[a-z]+)=`).MatchString(tag) || regexp.MustCompile(`(src|href|action)="(https?:|//)`).MatchString(tag) {
			t.Error(tag)
		}
	}
}

// TestWithoutScript: the page loads itself anew, its form filters, its links sort, and all containers can be had.
func TestWithoutScript(t *testing.T) {
	s := sample(250, up)
	q := Query{Filter: "APP-00", Sort: "lines"}
	text := drawn(t, s, q)
	for _, want := range []string{
		`<noscript><meta http-equiv="refresh" content="5"></noscript>`, `method="get"`, `name="filter" type="search" maxlength="200" value="APP-00"`,
		`<input type="hidden" name="sort" value="lines">`, `aria-sort="descending"><a href="?filter=APP-00&amp;sort=lines">Lines<`,
		`<a href="?filter=APP-00">State<`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if names := found(nameOf, text); len(names) != 100 || names[0] != "app-0099" || names[99] != "app-0000" {
		t.Errorf("by lines, those with 00: %q", names)
	}
	text = drawn(t, s, Query{})
	if names := found(nameOf, text); len(names) != mostRows || !strings.Contains(text, `and 150 more containers: <a href="?all=1">show all</a>`) {
		t.Errorf("%d of 250 are shown", len(names))
	}
	if names := found(nameOf, drawn(t, s, Query{All: true})); len(names) != 250 {
		t.Errorf("%d of all 250 are shown", len(names))
	}
	if text := drawn(t, s, Query{Filter: "no such"}); !strings.Contains(text, "No container matches.") {
		t.Error("a filter that nothing matches is not said")
	}
	for _, c := range columns {
		if names := found(nameOf, drawn(t, each(), Query{Sort: c.key})); len(names) != 12 {
			t.Errorf("by %q: %q", c.key, names)
		}
	}
	if names := found(nameOf, drawn(t, each(), Query{Sort: "name"})); !slices.IsSorted(names) {
		t.Errorf("by name: %q", names)
	}
}

// TestInstances: of several, each thing says whose it is, and figures are of all.
func TestInstances(t *testing.T) {
	s := sample(5, up)
	s.Instances = append(s.Instances, sample(0, down).Instances...)
	s.Instances[1].Name = "other"
	s.Containers[4].Instance = "other"
	text := drawn(t, s, Query{})
	if got := notices(text); len(got) != 1 || !strings.HasPrefix(got[0], "other The Engine does not answer: since") {
		t.Errorf("the banner says %q", got)
	}
	if got := found(stateOf, text); !slices.Equal(got, []string{NoEngine, Reading, Reading, Reading, Reading}) {
		t.Errorf("the states are %q", got)
	}
	if !strings.Contains(text, "<dt>Lines in all</dt><dd><b>24.7 M</b>") || !strings.Contains(text, "<dt>Lines a second</dt><dd><b>2182</b>") {
		t.Error("the figures are not of all instances")
	}
}

// TestSparkline: its points are the rates, the newest at the right, at most as high as the box.
func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		rates []float32
		want  string
	}{
		{nil, ""},
		{[]float32{0}, "59,20"},
		{[]float32{0, 0, 0, 0}, "56,20 59,20"},
		{[]float32{0, 0, 0, 50, 100, 100}, "54,20 56,20 57,10 58,1 59,1"},
		{[]float32{0.5, 0}, "58,10 59,20"}, // less than one line a second is little
	} {
		if got := sparkPoints(c.rates); got != c.want {
			t.Errorf("%v: %q, want %q", c.rates, got, c.want)
		}
	}
	s := sample(1, up)
	s.Containers[0].Rates = []float32{0, 100, 40}
	if text := drawn(t, s, Query{}); !strings.Contains(text, `aria-label="in the last 15 s at most 100 lines a second"><polyline points="57,20 58,1 59,12"/></svg><span>40</span>`) {
		t.Error("the container has no sparkline")
	}
}

func BenchmarkRender(b *testing.B) {
	s := sample(1000, halfBroken)
	b.ReportAllocs()
	for b.Loop() {
		drawn(b, s, Query{})
	}
}
