// Testtable makes tables of what `go test -json` prints. It shows that as go test would, and ends with the tables: of
// the tests by Engine, where a test counts for the Engine whose version is a part of its name; and, in Markdown, of
// what tests say of themselves by the attributes row, column and cell (testing.T.Attr).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// event is what test2json makes of a line (go doc test2json).
type event struct {
	Action, Package, Test, Output, Key, Value string
}

// version is how an Engine names itself in the name of a subtest, e.g. 20.10.24+dfsg1.
var version = regexp.MustCompile(`[/_](\d+\.\d+\.\d+[^/]*|29-v[^/]*)(?:/|$)`)

// tally is what came of the tests of one Engine.
type tally struct {
	passed, skipped int
	failed          []string
}

func main() {
	failed, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testtable:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run copies the output of the tests from r to w, and writes the table. It says whether any test or package failed.
func run(r io.Reader, w io.Writer) (failed bool, err error) {
	engines := map[string]*tally{}
	var said grid
	printed := map[string]*strings.Builder{} // by package and test, until it is known what came of it
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text()) // of a build that failed
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if e.Test == "" {
				fmt.Fprint(w, e.Output)
				continue
			}
			if printed[key] == nil {
				printed[key] = &strings.Builder{}
			}
			printed[key].WriteString(e.Output)
		case "attr":
			said.attr(key, e.Key, e.Value)
		case "pass", "skip", "fail":
			said.end(key, e.Action)
			if e.Action == "fail" {
				failed = true
				if b := printed[key]; b != nil {
					fmt.Fprint(w, b.String())
				}
			}
			delete(printed, key)
			count(engines, e)
		}
	}
	if err := lines.Err(); err != nil {
		return failed, err
	}
	if len(said.columns) > 0 {
		said.write(w)
		return failed, nil
	}
	return failed, table(w, engines)
}

// count adds the end of a test to the Engine that it ran on, if it names one.
func count(engines map[string]*tally, e event) {
	m := version.FindStringSubmatch(e.Test)
	if m == nil {
		return
	}
	t := engines[m[1]]
	if t == nil {
		t = &tally{}
		engines[m[1]] = t
	}
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
	case "fail":
		t.failed = append(t.failed, e.Test)
	}
}

// table writes a row for each Engine, and below it what failed there.
func table(w io.Writer, engines map[string]*tally) error {
	if len(engines) == 0 {
		_, err := fmt.Fprintln(w, "no test ran on an Engine")
		return err
	}
	names := make([]string, 0, len(engines))
	for name := range engines {
		names = append(names, name)
	}
	slices.Sort(names)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "Engine\tpassed\tfailed\tskipped\t")
	for _, name := range names {
		e := engines[name]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t\n", name, e.passed, len(e.failed), e.skipped)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, name := range names {
		for _, test := range engines[name].failed {
			fmt.Fprintf(w, "failed on %s: %s\n", name, test)
		}
	}
	return nil
}
