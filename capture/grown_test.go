package capture_test

import (
	"strings"
	"sync"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// growth is what a log does between two requests for it.
type growth struct {
	name    string
	lines   int
	forgets int    // of the oldest lines, that were delivered
	from    string // the tail of the request with which it begins, "" is the first
}

// No two requests show one log: between any two of them it may have grown, its
// container may have begun to run again, and its oldest lines may have been
// rotated away. That is no damage and no gap.
func TestLogChangesBetweenRequests(t *testing.T) {
	for _, g := range []growth{
		{name: "grows by a line", lines: 1},
		{name: "grows by many", lines: 200},
		{name: "grows from the question for the last record on", lines: 300, from: "1"},
		{name: "is rotated and grows", lines: 2, forgets: 2},
	} {
		for _, api := range apis {
			for _, reader := range []string{readerFollow, readerPoll} {
				t.Run(g.name+" "+api+" "+reader, func(t *testing.T) {
					t.Parallel()
					testGrowth(t, api, reader, g)
				})
			}
		}
	}
}

// testGrowth ends a container three times, and has it run again and its log grow
// by up to steps while it is read to its end.
func testGrowth(t *testing.T, api, reader string, g growth) {
	e := dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
	a := startAgent(t, e.Host(), map[string]string{"Reader": reader}, quick)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	var mu sync.Mutex
	var want []string
	const steps = 100
	left := 0
	write := func(n int) { // mu is held
		lines := sequence("out", len(want), len(want)+n)
		if c.Stdout(lines...) {
			want = append(want, lines...)
		}
	}
	e.BeforeLog(func(q dockertest.LogQuery) {
		mu.Lock()
		defer mu.Unlock()
		if left == 0 || left == steps && g.from != "" && q.Tail != g.from {
			return
		}
		left--
		c.Start()
		c.Forget(g.forgets)
		write(g.lines)
	})
	for range 3 {
		mu.Lock()
		write(100)
		n := len(want)
		mu.Unlock()
		a.waitTexts(c.ID, "", n)
		mu.Lock()
		left = steps
		mu.Unlock()
		c.Die(1)
		a.wait("all lines, after some requests", func(rs []got) bool {
			mu.Lock()
			defer mu.Unlock()
			return left < steps-1 && len(rs) >= len(want)
		})
		mu.Lock()
		left = 0
		mu.Unlock()
		c.Start()
	}
	mu.Lock()
	defer mu.Unlock()
	a.waitTexts(c.ID, "", len(want))
	checkSequence(t, "lines", want, a.texts(c.ID, ""))
	if n := a.col.Totals().Gaps; n != 0 || strings.Contains(a.log.String(), "gap: ") {
		t.Errorf("%v gaps", n)
	}
}
