package testkit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Cases runs each case of a table of text as a test.
//
// A blank line begins another one. Its name is that of its first line, if that is a comment. What has no line that begins with
// "->" is none. run is given its lines and the number of the first. The test fails where there are fewer than least.
func Cases(t *testing.T, file string, least int, run func(t *testing.T, first int, lines []string)) {
	t.Helper()
	table, err := os.ReadFile(file)
	Must(t, err)
	n, line := 0, 1
	for block := range strings.SplitSeq(string(table), "\n\n") {
		first := line
		line += strings.Count(block, "\n") + 2
		if !strings.Contains(block, "\n->") {
			continue
		}
		n++
		lines := strings.Split(strings.TrimSpace(block), "\n")
		name, ok := strings.CutPrefix(lines[0], "# ")
		if !ok {
			name = fmt.Sprint("line ", first)
		}
		t.Run(strings.TrimSuffix(name, "."), func(t *testing.T) { run(t, first, lines) })
	}
	if n < least {
		t.Errorf("%s has %d cases, not %d", file, n, least)
	}
}
