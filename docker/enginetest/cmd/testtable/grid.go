package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// grid is the table of what tests say of themselves.
type grid struct {
	open    map[string]map[string]string // attributes by test, until it has ended
	rows    []string                     // in the order in which tests ended
	columns map[string]bool
	cells   map[[2]string][]string // by row and column
}

func (g *grid) attr(test, key, value string) {
	if g.open == nil {
		g.open, g.columns, g.cells = map[string]map[string]string{}, map[string]bool{}, map[[2]string][]string{}
	}
	if g.open[test] == nil {
		g.open[test] = map[string]string{}
	}
	g.open[test][key] = value
}

// end takes what a test said into the table, once it is known what came of it.
func (g *grid) end(test, action string) {
	a, ok := g.open[test]
	delete(g.open, test)
	if !ok || a["row"] == "" || a["column"] == "" || action == "skip" {
		return
	}
	cell := a["cell"]
	if action == "fail" {
		cell = strings.TrimSpace("**failed** " + cell)
	}
	if !slices.Contains(g.rows, a["row"]) {
		g.rows = append(g.rows, a["row"])
	}
	g.columns[a["column"]] = true
	at := [2]string{a["row"], a["column"]}
	if !slices.Contains(g.cells[at], cell) {
		g.cells[at] = append(g.cells[at], cell)
	}
}

// write prints the rows by name and the columns by version.
func (g *grid) write(w io.Writer) {
	columns := slices.SortedFunc(maps.Keys(g.columns), byVersion)
	slices.Sort(g.rows)
	fmt.Fprintf(w, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range g.rows {
		fmt.Fprintf(w, "| %s |", row)
		for _, column := range columns {
			fmt.Fprintf(w, " %s |", cmp.Or(strings.Join(g.cells[[2]string{row, column}], ", "), "-"))
		}
		fmt.Fprintln(w)
	}
}

// byVersion compares numbers between points as numbers.
func byVersion(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		n, aErr := strconv.Atoi(a)
		m, bErr := strconv.Atoi(b)
		if aErr != nil || bErr != nil {
			return strings.Compare(a, b)
		}
		return cmp.Compare(n, m)
	})
}
