package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

var serial atomic.Int64

// unique returns a container name that no other test or run uses.
func unique(name string) string {
	return fmt.Sprintf("e2e-%d-%d-%s", os.Getpid(), serial.Add(1), name)
}

// input is a section that captures the containers whose name matches one of globs, from their beginning.
func input(e *enginetest.Engine, globs ...string) options {
	return options{
		"Docker_Host":    e.Host,
		"Include":        "name=" + strings.Join(globs, ",name="),
		"Start_From":     "beginning",
		"Tag":            "docker",
		"Metrics_Listen": "off", // agents run beside each other
	}
}

// wanted is what the Engine has of the containers, and the number of lines per id.
func wanted(containers ...*enginetest.Container) (lines []Line, counts map[string]int) {
	counts = map[string]int{}
	for _, c := range containers {
		for _, l := range c.Logs() {
			lines = append(lines, Line{Container: c.Name + "@" + c.ID[:12], Std: l.Std, Text: l.Text, Time: l.Time})
			counts[c.ID]++
		}
	}
	return lines, counts
}

// arrived is what stands at the sink under a tag.
func arrived(records []record, tag string) []Line {
	var lines []Line
	for _, r := range records {
		if r.Tag == tag {
			name := fmt.Sprintf("%s@%.12s", r.text("container_name"), r.text("container_id"))
			lines = append(lines, Line{Container: name, Std: r.text("stream"), Text: r.text("log"), Time: r.Time})
		}
	}
	return lines
}

// exact fails the test unless got is want, each line once, in order and with its time.
func exact(t testing.TB, want, got []Line) {
	t.Helper()
	if len(want) == 0 {
		t.Error("nothing was written, so nothing is proved")
	}
	for _, v := range Compare(want, got) {
		if !v.OK() {
			t.Error(v)
		}
	}
}

// complete waits until all has come that the containers have written, ends the agent and fails the test unless that is exact. It
// returns how many lines those are.
func complete(t testing.TB, p *process, containers ...*enginetest.Container) int {
	t.Helper()
	want, counts := wanted(containers...)
	p.awaitRecords(counts)
	exact(t, want, arrived(p.stop(), "docker"))
	return len(want)
}

// kinds are the containers of TestLines.
var kinds = []struct {
	name    string
	tty     bool
	running bool // also one that runs, and has written, before the agent starts
	args    []string
}{
	{name: "both", running: true, args: []string{"-std=both", "-lines=3000", "-size=120"}},
	{name: "long", running: true, args: []string{"-std=both", "-lines=100", "-size=80", "-long=40000", "-every=5"}},
	{name: "utf8", args: []string{"-std=both", "-lines=1000", "-size=200", "-payload=utf8"}},
	{name: "long-utf8", args: []string{"-lines=40", "-size=80", "-long=40000", "-every=4", "-payload=utf8"}},
	{name: "identical", args: []string{"-std=both", "-lines=3000", "-size=80", "-payload=identical"}},
	{name: "no-last-newline", running: true, args: []string{"-lines=3", "-exit-without-newline"}},
	{name: "crash", args: []string{"-lines=100", "-crash-after=50"}},
	{name: "tty", tty: true, running: true, args: []string{"-lines=2000", "-size=120", "-payload=utf8"}},
	// On a TTY the Engine puts a timestamp into the middle of each line over 16 KiB.
	{name: "tty-long", tty: true, args: []string{"-lines=50", "-size=80", "-long=40000", "-every=5"}},
}

// TestLines: each kind of output, of containers that run before the agent and of those that start after it.
func TestLines(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("lines")
		var before, after []*enginetest.Container
		for _, k := range kinds {
			if k.running {
				before = append(before, e.Run(t, enginetest.Options{Name: name + "-before-" + k.name, TTY: k.tty, Args: append([]string{"-hold"}, k.args...)}))
			}
		}
		p := start(t, a, setup{inputs: []options{input(e, name+"-*")}})
		for _, k := range kinds {
			after = append(after, e.Run(t, enginetest.Options{Name: name + "-after-" + k.name, TTY: k.tty, Args: k.args}))
		}
		for _, c := range after {
			c.Wait()
		}
		for _, c := range before {
			c.Stop() // a last line without an end is a line only now
		}
		want, counts := wanted(append(before, after...)...)
		for _, c := range before {
			if counts[c.ID] < 3 {
				t.Errorf("%s wrote nothing before it was stopped", c.Name)
			}
		}
		p.awaitRecords(counts)
		records := arrived(p.stop(), "docker")
		exact(t, want, records)
		if bin, ok := a.(fluentBit); ok {
			missing, doubled := 0, 0
			for _, v := range Compare(want, records) {
				missing, doubled = missing+v.Missing.Count, doubled+v.Doubled.Count
			}
			cell(t, bin, "all kinds of lines, real Engines", fmt.Sprintf("%d / %d", missing, doubled))
		}
	})
}

// awaitWritten waits until the Engine has n lines of a container that holds.
func awaitWritten(t testing.TB, c *enginetest.Container, n int) {
	t.Helper()
	for range 400 {
		if len(c.Logs()) >= n {
			return
		}
	}
	t.Fatalf("container %s wrote fewer than %d lines", c.Name, n)
}

// TestRecord: the keys of a record, also after a rename.
func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("record")
		in := input(e, name+"*")
		in["Labels"] = "team,app.*"
		p := start(t, a, setup{inputs: []options{in}})
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-lines=1", "-hold"}, Labels: map[string]string{
			"com.docker.compose.project": "shop",
			"com.docker.compose.service": "web",
			"team":                       "blue",
			"app.tier":                   "front",
			"other":                      "not chosen",
		}})
		plain := e.Run(t, enginetest.Options{Name: name + "-plain", Args: []string{"-lines=1"}})
		p.awaitRecords(map[string]int{c.ID: 1, plain.ID: 1})
		c.Rename(name + "-renamed")
		c.Restart()
		p.awaitRecords(map[string]int{c.ID: 2, plain.ID: 1})

		image, err := e.Image(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"log": "run stdout 1 ", "stream": "stdout", "container_id": c.ID, "container_name": name, "image": image,
			"compose_project": "shop", "compose_service": "web", "label_team": "blue", "label_app_tier": "front",
		}
		renamed := maps.Clone(want)
		renamed["container_name"] = name + "-renamed"
		bare := map[string]any{
			"log": "run stdout 1 ", "stream": "stdout", "container_id": plain.ID, "container_name": name + "-plain", "image": image,
		}
		if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(c.ID) {
			t.Errorf("container id %q", c.ID)
		}
		next := map[string][]map[string]any{c.ID: {want, renamed}, plain.ID: {bare}}
		for _, r := range p.stop() {
			id := r.text("container_id")
			if len(next[id]) == 0 {
				t.Errorf("a record too many: %v", r)
				continue
			}
			if r.text("host") == "" {
				t.Errorf("no host in %v", r)
			}
			delete(r.Fields, "host")
			if !maps.Equal(r.Fields, next[id][0]) {
				t.Errorf("got  %v\nwant %v", r.Fields, next[id][0])
			}
			next[id] = next[id][1:]
		}
	})
}

// TestTwoInputs: sections with an Include each get their own containers, sections with the same one both get all.
func TestTwoInputs(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("inputs")
		tagged := func(tag string, globs ...string) options {
			in := input(e, globs...)
			in["Tag"] = tag
			return in
		}
		p := start(t, a, setup{inputs: []options{
			tagged("left", name+"-left"), tagged("right", name+"-right"),
			tagged("all", name+"-*"), tagged("again", name+"-*"),
		}})
		args := []string{"-std=both", "-lines=2000", "-size=100"}
		left := e.Run(t, enginetest.Options{Name: name + "-left", Args: args})
		right := e.Run(t, enginetest.Options{Name: name + "-right", Args: args})
		left.Wait()
		right.Wait()
		wantLeft, counts := wanted(left)
		wantRight, _ := wanted(right)
		p.awaitRecords(map[string]int{left.ID: 3 * counts[left.ID], right.ID: 3 * len(wantRight)})
		records := p.stop()
		exact(t, wantLeft, arrived(records, "left"))
		exact(t, wantRight, arrived(records, "right"))
		exact(t, append(wantLeft, wantRight...), arrived(records, "all"))
		exact(t, append(wantLeft, wantRight...), arrived(records, "again"))
	})
}
