package conf_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// bothFormats runs a test with an example in each format.
func bothFormats(t *testing.T, name string, test func(t *testing.T, fluentBit, file string)) {
	fluentBit := lookFluentBit(t)
	for _, file := range []string{name + ".conf", name + ".yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			requirePlugins(t, fluentBit, plugins(examples(t)[file])...)
			test(t, fluentBit, file)
		})
	}
}

// records returns the JSON lines that were printed.
func (a *agent) records() (list []map[string]any) {
	a.t.Helper()
	out, _ := a.text()
	for line := range strings.Lines(out) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			a.t.Fatalf("%v in %q", err, line)
		}
		list = append(list, r)
	}
	return list
}

// TestJSON: a line that is JSON becomes JSON and can stand for none of the record's own keys; others stay as they are.
func TestJSON(t *testing.T) {
	lines := []string{
		`{"level":"info","n":1,"nested":{"a":[1,"b"]},"time":"2020-01-01T00:00:00Z","container_id":"forged","compose_project":"forged"}`,
		`{"broken": `, `{"a":1} trailing`, "text", "", `{"a":1}`, `{"a":1}`, `{"a":1}`,
	}
	around := map[int][2]string{5: {"", "\r"}, 6: {"", " \t"}, 7: {"  ", ""}} // as some programs, and some systems, write
	bothFormats(t, "json", func(t *testing.T, fluentBit, file string) {
		engine := dockertest.Start(t)
		c := engine.Run(dockertest.Container{Name: "web", Labels: map[string]string{"com.docker.compose.project": "shop"}})
		for i, line := range lines {
			c.Stdout(around[i][0] + line + around[i][1])
		}
		a := start(t, fluentBit, install(t, file, withEngine(engine.Host())))
		a.await("its records", func(out, _ string) bool { return strings.Count(out, "\n") >= len(lines) })
		a.stop()
		got := a.records()
		if len(got) != len(lines) {
			t.Fatalf("%d records for %d lines", len(got), len(lines))
		}
		for i, r := range got {
			if r["container_id"] != c.ID || r["compose_project"] != "shop" || strings.HasPrefix(r["time"].(string), "2020") {
				t.Errorf("record %d: %v", i, r)
			}
			var want any = lines[i]
			if i == 0 || i >= 5 {
				if err := json.Unmarshal([]byte(lines[i]), &want); err != nil {
					t.Fatal(err)
				}
			}
			if fmt.Sprint(r["log"]) != fmt.Sprint(want) {
				t.Errorf("record %d: log is %#v", i, r["log"])
			}
		}
	})
}

// texts are records of one container each: some of many lines.
var texts = map[string][]string{
	"java": {
		"12:00:01 INFO starting, no Error yet",
		"java.lang.IllegalStateException: no cart\n\tat shop.Cart.open(Cart.java:12)\n\tat shop.Main.main(Main.java:3)\n" +
			"Caused by: java.io.IOException: gone\n\tat shop.Store.get(Store.java:77)\n\t... 2 more",
		"12:00:02 INFO next",
		"Exception in thread \"main\" java.lang.OutOfMemoryError\n\tat shop.Main.main(Main.java:9)",
		"12:00:03 INFO end",
	},
	"python": {
		"serving",
		"Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    f()\nKeyError: 'x'\n\n" +
			"During handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"a.py\", line 5, in <module>\n    g()\nValueError: bad",
		"next",
		"Traceback (most recent call last):\n  File \"a.py\", line 9, in <module>\nKeyboardInterrupt",
		"end",
	},
	"go": {
		"2026/01/02 listening on :80",
		"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.f(0x1, {0xc000, 0x2})\n" +
			"\t/src/main.go:7 +0x1d\nmain.(*T).run(...)\n\t/src/main.go:9\ncreated by main.main in goroutine 1\n" +
			"\t/src/main.go:12 +0x20\nexit status 2",
		"2026/01/02 listening on :80",
	},
}

// TestMultiline: traces of containers that write at the same time are joined, each on its own; all other lines come as they
// are, each once, in order; and the last of all comes without another behind it.
func TestMultiline(t *testing.T) {
	const ordinary = 100_000
	bothFormats(t, "multiline", func(t *testing.T, fluentBit, file string) {
		engine := dockertest.Start(t)
		want := map[string][]string{}
		var waiting [][]string // the lines of each container, to be written in turns
		var writers []*dockertest.Ctr
		for name, list := range texts {
			want[name] = list
			waiting = append(waiting, strings.Split(strings.Join(list, "\n"), "\n"))
			writers = append(writers, engine.Run(dockertest.Container{Name: name}))
		}
		flood := engine.Run(dockertest.Container{Name: "flood"})
		a := start(t, fluentBit, install(t, file, withEngine(engine.Host())))
		flood.Flood(dockertest.Stdout, ordinary, func(dst []byte, i int) []byte { return fmt.Appendf(dst, "line %d", i) })
		for i := range ordinary {
			want["flood"] = append(want["flood"], fmt.Sprintf("line %d", i))
		}
		for more := true; more; {
			more = false
			for i, lines := range waiting {
				if len(lines) > 0 {
					writers[i].Stderr(lines[0])
					waiting[i], more = lines[1:], true
				}
			}
		}
		total := 0
		for _, list := range want {
			total += len(list)
		}
		a.await("its records", func(out, _ string) bool { return strings.Count(out, "\n") >= total })
		a.stop()
		got := map[string][]string{}
		for _, r := range a.records() {
			name, text := r["container_name"].(string), r["log"].(string)
			got[name] = append(got[name], text)
		}
		for name, list := range want {
			if !slices.Equal(got[name], list) {
				t.Errorf("%s: %d records, want %d", name, len(got[name]), len(list))
				for i := range min(len(list), len(got[name])) {
					if got[name][i] != list[i] {
						t.Errorf("record %d:\n%s\nwant\n%s", i, got[name][i], list[i])
						break
					}
				}
			}
		}
	})
}

// TestByLabel: what a container asks for by its labels, it gets: the parser that the configuration has for the name, traces
// joined, or no record at all.
func TestByLabel(t *testing.T) {
	const access = `10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /cart?a=b HTTP/1.1" 200 2326 "-" "curl/8.1"`
	written := map[string]struct {
		label, value string
		lines        []string
	}{
		"nginx":   {"parser", "nginx", []string{access, "no access"}},
		"json":    {"parser", "application_json", []string{`{"level":"info"}`}},
		"unknown": {"parser", "nginx.json", []string{access}},
		"java":    {"multiline", "java", strings.Split(texts["java"][1], "\n")},
		"plain":   {"other", "x", []string{access}},
		"out":     {"exclude", "true", []string{"never"}},
	}
	wanted := map[string][]string{
		"nginx":   {"GET /cart?a=b 200 curl/8.1 <nil>", "<nil> <nil> <nil> <nil> no access"},
		"json":    {"<nil> <nil> <nil> <nil> map[level:info]"},
		"unknown": {"<nil> <nil> <nil> <nil> " + access},
		"java":    {"<nil> <nil> <nil> <nil> " + texts["java"][1]},
		"plain":   {"<nil> <nil> <nil> <nil> " + access},
	}
	bothFormats(t, "by-label", func(t *testing.T, fluentBit, file string) {
		engine := dockertest.Start(t)
		ids := map[string]string{}
		for name, w := range written {
			c := engine.Run(dockertest.Container{Name: name, Labels: map[string]string{"fluentbit.io/" + w.label: w.value}})
			c.Stdout(w.lines...)
			ids[name] = c.ID
		}
		a := start(t, fluentBit, install(t, file, withEngine(engine.Host())))
		a.await("its records", func(out, _ string) bool { return strings.Count(out, "\n") >= 6 })
		a.stop()
		got := map[string][]string{}
		for _, r := range a.records() {
			name := fmt.Sprint(r["container_name"])
			got[name] = append(got[name], fmt.Sprint(r["method"], " ", r["path"], " ", r["code"], " ", r["agent"], " ", r["log"]))
			if r["container_id"] != ids[name] || r["stream"] != "stdout" {
				t.Errorf("%s: the record's own keys are %v", name, r)
			}
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("got %q\nwant %q", got, wanted)
		}
	})
}

// TestRouting: records of a project get a tag by which one output takes them and the other does not, in both ways.
func TestRouting(t *testing.T) {
	template := func(s string) string { // the other way: the option on, the filter for a tag that nobody has
		s = strings.Replace(switchOn(s), "$compose_project ^(.+)$", "$no_such_key ^(.+)$", 1)
		return s
	}
	for way, edit := range map[string]func(string) string{
		"rewrite_tag":  func(s string) string { return s },
		"Tag_Template": template,
	} {
		t.Run(way, func(t *testing.T) {
			bothFormats(t, "routing", func(t *testing.T, fluentBit, file string) {
				engine := dockertest.Start(t)
				for name, project := range map[string]string{"web": "shop", "db": "shopping", "lone": ""} {
					labels := map[string]string{}
					if project != "" {
						labels["com.docker.compose.project"] = project
					}
					engine.Run(dockertest.Container{Name: name, Labels: labels}).Stdout("the line of " + name)
				}
				path := install(t, file, func(s string) string { return withEngine(engine.Host())(edit(s)) })
				a := start(t, fluentBit, path)
				a.await("its records", func(out, _ string) bool {
					return strings.Count(out, "the line of ") >= 2 && strings.Contains(shop(path), "the line of ")
				})
				a.stop()
				out, _ := a.text()
				printed, filed := strings.Split(strings.TrimSpace(out), "\n"), strings.Split(strings.TrimSpace(shop(path)), "\n")
				for _, want := range []struct {
					name, rewritten, template string
					in                        []string
				}{
					{"web", "docker.shop: ", "docker.shop.web: ", filed},
					{"db", "[0] docker.shopping: ", "[0] docker.shopping.db: ", printed},
					{"lone", "[0] docker: ", "[0] docker.none.lone: ", printed},
				} {
					tag := want.rewritten
					if way == "Tag_Template" {
						tag = want.template
					}
					got := slices.DeleteFunc(append(slices.Clone(printed), filed...), func(line string) bool {
						return !strings.Contains(line, "the line of "+want.name+`"`)
					})
					if len(got) != 1 || !slices.Contains(want.in, got[0]) || !strings.HasPrefix(got[0], tag) {
						t.Errorf("%s: want it once under %q, got %q", want.name, tag, got)
					}
				}
			})
		})
	}
}

// shop returns what the example beside path has filed so far.
func shop(path string) string {
	text, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "shop.log")) // not there yet: nothing
	return string(text)
}
