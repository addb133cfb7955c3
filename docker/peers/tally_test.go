package peers

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestTally: lines are known by their numbers in whatever format they come, and however they are cut.
func TestTally(t *testing.T) {
	formats := []string{
		"%s\n",
		`docker: [1764165600.1, {"log":"%s","stream":"stdout"}]` + "\n",
		`docker_log,host=x message="%s" 1764165600` + "\n",
		"Timestamp: 1\nBody: Str(%s)\nAttributes:\n     -> log: x\n",
		`{"message":"{\"level\":\"info\",\"msg\":\"%s\"}"}` + "\n",
	}
	for _, format := range formats {
		var b strings.Builder
		put := func(container int, std string, n int) {
			fmt.Fprintf(&b, format, fmt.Sprintf("%s%d %s %d GET /", mark, container, std, n))
		}
		for n := 1; n <= 20; n++ { // 11 to 20 matter
			for container := range 2 {
				for _, std := range []string{"stdout", "stderr"} {
					put(container, std, n)
				}
			}
		}
		put(0, "stdout", 5)  // again, but before those that matter
		put(0, "stdout", 15) // again, twice
		put(0, "stdout", 15)
		put(7, "stdout", 15) // of no container
		put(0, "nothing", 15)
		b.WriteString(mark + "x stdout 15 GET\n" + mark + "0 stdout x GET\n" + mark + "0 stdout\n" + mark)
		text := b.String()
		missing := fmt.Sprintf(format, mark+"1 stderr 20 GET /")
		text = strings.Replace(text, missing, "", 1)
		for _, size := range []int{1, 7, 4096, len(text)} {
			y := newTally(2, 2, 11, 20)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if _, err := io.WriteString(y, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if all, lost, doubled := y.count(); all != 4*20-1+3 || lost != 1 || doubled != 2 {
				t.Errorf("by %d bytes of %q: %d lines, %d lost, %d doubled", size, format, all, lost, doubled)
			}
		}
	}
}

// TestTallyBegins: all is lost until it comes, and a number that comes very often is counted each time.
func TestTallyBegins(t *testing.T) {
	y := newTally(1, 1, 1, 100)
	if all, lost, doubled := y.count(); all != 0 || lost != 100 || doubled != 0 {
		t.Errorf("%d, %d, %d", all, lost, doubled)
	}
	for range 1000 {
		_, _ = io.WriteString(y, mark+"0 stdout 1 x\n")
	}
	if all, lost, doubled := y.count(); all != 1000 || lost != 99 || doubled != 999 {
		t.Errorf("%d, %d, %d", all, lost, doubled)
	}
}
