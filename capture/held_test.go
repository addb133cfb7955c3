package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// Somebody has a compressed log of Engine 20.10 open, which shows everybody the
// rotated files of then. What was delivered does not come again, however old the
// files are that are shown, and what is hidden until it is gone is counted.
func TestHeldLog(t *testing.T) {
	t.Run("poll, until it is given up", func(t *testing.T) { testHeldLog(t, readerCases[1], 4, 1, -1) })
	for _, r := range readerCases[:2] {
		for _, files := range []int{3, 4} {
			for rotations := 1; rotations <= 4; rotations++ { // what is replaced within milliseconds cannot be compared
				for _, left := range []int{0, 5} { // out by the follow, at the end of each file
					t.Run(fmt.Sprintf("%s, %d files, %d rotations, %d left out", r.name, files, rotations, left), func(t *testing.T) {
						testHeldLog(t, r, files, rotations, left)
					})
				}
			}
		}
	}
}

// testHeldLog has so many files rotated before and while the log is held. left are
// left out of a follow at the end of each; below 0 the log is held until a gap is
// counted.
func testHeldLog(t *testing.T, r readerCase, files, rotations, left int) {
	const perFile = 100
	e := dockertest.Start(t, dockertest.WithAPIVersion("1.41", ""))
	a := r.agent(t, e, map[string]string{"Rotate_Interval": "1s"})
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "held", Rotates: true, MaxSize: perFile * 100, MaxFile: 5, Compress: true})
	var want []string
	write := func(n int) {
		for range n {
			line := fmt.Sprintf("%06d %037d", len(want), 0)
			want = append(want, line)
			c.Stdout(line)
		}
		r.read(t, c)
	}
	a.waitTexts(c.ID, "stdout", 0)
	file := func(left int) { // to the end of one, about
		write(perFile - left)
		r.reading(t, a, c)
		if left > 0 {
			c.SkipFollowers(left)
			write(left)
		}
	}
	for range files {
		file(0)
	}
	write(perFile / 2)
	a.waitTexts(c.ID, "stdout", len(want))
	release := c.HoldFiles()
	if left < 0 {
		write(perFile / 4)
		a.waitTexts(c.ID, "stdout", len(want)) // and behind it the log is rotated
		must(t, c.RotateLog())
		var asked atomic.Int64
		c.BeforeLog(func(dockertest.LogQuery) { // who finds where to go on is shown other files than who goes on
			if a.gaps() > 0 && asked.Add(1) == 2 {
				release()
			}
		})
		write(perFile / 4)
		a.waitFor("a gap", func() bool { return a.gaps() > 0 })
		a.waitTexts(c.ID, "stdout", len(want))
		release = func() {}
	}
	for range max(0, rotations*min(1, left+1)) {
		file(left)
	}
	release()
	write(perFile / 2)
	c.Die(0)
	a.waitRun(c.ID)

	missing, doubled, seen := 0, 0, map[string]bool{}
	for _, text := range a.texts(c.ID, "stdout") {
		if seen[text] {
			doubled++
		}
		seen[text] = true
	}
	for _, line := range want {
		if !seen[line] {
			missing++
		}
	}
	if doubled > 0 || missing > 0 && a.gaps() == 0 {
		t.Errorf("%d of %d lines missing and %d gaps counted, %d doubled", missing, len(want), a.gaps(), doubled)
	}
	t.Logf("%d of %d missing, %d gaps", missing, len(want), a.gaps())
}

// What such a log hides is missed where a line lacks its rest: it is waited for, and
// counted where that is in vain.
func TestHeldLogTearsALine(t *testing.T) {
	for _, given := range []bool{true, false} {
		t.Run(fmt.Sprint("let go: ", given), func(t *testing.T) {
			e := dockertest.Start(t, dockertest.WithAPIVersion("1.41", ""))
			r := readerCases[1]
			a := r.agent(t, e, nil)
			a.connected()
			c := r.run(t, e, dockertest.Container{Name: "held", Rotates: true, MaxSize: 1 << 20, MaxFile: 2, Compress: true})
			long := strings.Repeat("x", decode.ChunkSize)
			c.Stdout("first")
			c.Write(dockertest.Stdout, []byte(long))
			c.Stderr("begun")
			a.waitTexts(c.ID, "stderr", 1)
			waits, written, asked := make(chan struct{}), make(chan struct{}), 0
			var release func()
			c.BeforeLog(func(dockertest.LogQuery) { // of one poll at a time
				if asked++; asked == 1 {
					close(waits)
					<-written
				}
				if asked == 3 && given {
					release()
				}
			})
			<-waits
			must(t, c.RotateLog())
			release = c.HoldFiles()
			c.Stdout("end", "hidden")
			must(t, c.RotateLog())
			c.Stdout("last")
			close(written)
			a.waitFor("the last line", func() bool { return slices.Contains(a.texts(c.ID, "stdout"), "last") })
			want := []string{"first", long, "last"}
			if given {
				want = []string{"first", long, "hidden", "last"}
			}
			checkSequence(t, "lines", want, a.texts(c.ID, "stdout"))
			a.waitFor("the gap", func() bool { return a.gaps() > 0 }) // which is counted behind the lines
			if n := a.gaps(); n != 1 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}
