package capture_test

import (
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture"
)

var update = flag.Bool("update", false, "write the generated tables into the documents")

// The documents that the code is held to.
const (
	confDocument         = "../conf/README.md"
	metricsDocument      = "../docker/README.md"
	troubleshooting      = "../docker/TROUBLESHOOTING.md"
	dependenciesDocument = "../plugin/README.md"
)

// TestREADMETables: the tables between the markers are what the code says. To write them anew:
//
//	go test ./capture -run README -update
func TestREADMETables(t *testing.T) {
	for _, c := range []struct{ document, name, table string }{
		{confDocument, "options", optionTable()},
		{metricsDocument, "metrics", metricTable(t)},
	} {
		b, err := os.ReadFile(c.document)
		must(t, err)
		open, end := "<!-- generated: "+c.name+" -->\n", "<!-- end -->\n"
		head, rest, ok := strings.Cut(string(b), open)
		have, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s lacks the markers of the table of %s", c.document, c.name)
		}
		if have == c.table {
			continue
		}
		if *update {
			must(t, os.WriteFile(c.document, []byte(head+open+c.table+end+tail), 0o644))
			continue
		}
		t.Errorf("the table of %s in %s is out of date; go test ./capture -run README -update writes it; it should be\n%s", c.name, c.document, c.table)
	}
}

func optionTable() string {
	var b strings.Builder
	b.WriteString("| option | default | what it does | allowed |\n|---|---|---|---|\n")
	for _, o := range capture.Options() {
		value := ""
		if o.Default != "" {
			value = "`" + o.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.Key, value, cell(o.Help), cell(o.Allowed))
	}
	return b.String()
}

// cell escapes what Markdown would not show as it is.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*", `\*`).Replace(text)
}

// described collects what is registered without needing a value of it.
type described struct{ descs []string }

func (d *described) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	for desc := range ch {
		d.descs = append(d.descs, desc.String())
	}
	return nil
}

func (d *described) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = d.Register(c)
	}
}

func (d *described) Unregister(prometheus.Collector) bool { return false }

var descText = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]+)".*, variableLabels: \{([^}]*)\}`)

func metricTable(t *testing.T) string {
	t.Helper()
	var d described
	c, err := capture.New(testConfig(t, "unix:///nowhere", nil), slog.New(slog.DiscardHandler), &d, func() {})
	must(t, err)
	must(t, c.Close())
	var b strings.Builder
	b.WriteString("| metric | labels | what it counts |\n|---|---|---|\n")
	for _, text := range d.descs {
		m := descText.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("metric %s is not understood", text)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m[1], m[3], cell(m[2]))
	}
	return b.String()
}

// saidText finds the warnings and errors that the code logs.
var saidText = regexp.MustCompile(`(?:\.(?:Warn|Error)\(|slog\.Level(?:Warn|Error), )"([^"]+)"`)

// TestREADMETroubleshooting: every warning and error that can be logged is explained, wherever below capture and plugin it is.
func TestREADMETroubleshooting(t *testing.T) {
	b, err := os.ReadFile(troubleshooting)
	must(t, err)
	said := 0
	for _, root := range []string{".", "../plugin"} {
		must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && notInThePlugin(d.Name()):
				return filepath.SkipDir
			case d.IsDir(), filepath.Ext(path) != ".go", strings.HasSuffix(path, "_test.go"):
				return nil
			}
			src, err := os.ReadFile(path)
			for _, m := range saidText.FindAllStringSubmatch(string(src), -1) {
				said++
				if !strings.Contains(string(b), m[1]) {
					t.Errorf("%s logs %q, which %s does not explain", path, m[1], troubleshooting)
				}
			}
			return err
		}))
	}
	if said == 0 {
		t.Error("no log text was found at all")
	}
}

// notInThePlugin says of a directory's name that what is there is for tests.
func notInThePlugin(dir string) bool {
	return dir == "testdata" || dir == "e2e" || dir == "backends" || strings.HasSuffix(dir, "test")
}

// TestREADMEDependencies: every direct requirement of the module has its reason.
func TestREADMEDependencies(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	must(t, err)
	b, err := os.ReadFile(dependenciesDocument)
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		if !strings.Contains(string(b), "| `"+m[1]+"` |") {
			t.Errorf("%s gives no reason for %s", dependenciesDocument, m[1])
		}
	}
}
