package capture

import (
	"fmt"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// Somebody has a compressed log of Engine 20.10 open, which shows everybody the
// rotated files of then. What was delivered does not come again, however old the
// files are that are shown, and what is hidden until it is gone is counted.
func TestHeldLog(t *testing.T) {
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
	for range rotations {
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
