package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/testkit"
)

// The end of a run, a line of the other std stream, time, and a removal end a
// trace; each reader joins.
func testTraces(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Multiline": "java,go"})
	a := r.agent(t, e, opts)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	python := r.run(t, e, dockertest.Container{Name: "python", Labels: map[string]string{container.MultilineLabel: "Python"}})
	none := r.run(t, e, dockertest.Container{Name: "none", Labels: map[string]string{container.MultilineLabel: "off"}})
	odd := r.run(t, e, dockertest.Container{Name: "odd", Labels: map[string]string{container.MultilineLabel: "cobol", container.ExcludeLabel: "perhaps"}})
	// A trace that nothing comes behind is there all the same, after a moment.
	for _, c := range []*dockertest.Ctr{c, python, none, odd} {
		c.Stdout(testkit.LinesOf(testkit.Traces["java"])...)
		c.Stderr(testkit.LinesOf(testkit.Traces["python"])...)
		c.Stderr("panic: last")
	}
	for _, want := range []struct {
		c              *dockertest.Ctr
		stdout, stderr []string
	}{
		{c, testkit.Traces["java"], append(testkit.LinesOf(testkit.Traces["python"]), "panic: last")},
		{odd, testkit.Traces["java"], append(testkit.LinesOf(testkit.Traces["python"]), "panic: last")},
		{python, testkit.LinesOf(testkit.Traces["java"]), append(append([]string(nil), testkit.Traces["python"]...), "panic: last")},
		{none, testkit.LinesOf(testkit.Traces["java"]), append(testkit.LinesOf(testkit.Traces["python"]), "panic: last")},
	} {
		a.waitTexts(want.c.ID, "stdout", len(want.stdout))
		a.waitTexts(want.c.ID, "stderr", len(want.stderr)-3)
		if want.c == c || want.c == odd { // python's messages are java's beginnings, to which an empty line belongs
			i := slices.Index(want.stderr, "KeyError: 'x'")
			want.stderr = slices.Replace(want.stderr, i, i+2, "KeyError: 'x'\n")
		}
		a.waitTexts(want.c.ID, "stderr", len(want.stderr))
		checkSequence(t, want.c.Name()+" stdout", want.stdout, a.texts(want.c.ID, "stdout"))
		checkSequence(t, want.c.Name()+" stderr", want.stderr, a.texts(want.c.ID, "stderr"))
	}
	const oddLabel = "the value of a label of the container is not understood"
	a.waitLog(oddLabel)
	if n := strings.Count(a.log.String(), oddLabel); n != 2 {
		t.Errorf("said %d times", n)
	}
	if n := a.counted("joined_lines_total"); n == 0 {
		t.Error("no line was counted as joined")
	}
}

// A trace that is open while the agent is stopped, or killed, and its log is
// rotated, comes whole and once.
func testTracesOverRestarts(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Multiline": "java", "Rotate_Interval": "1s"})
	c := r.create(t, e, dockertest.Container{Name: "web", MaxSize: 100 << 20, MaxFile: 9})
	var want, wantErr, have, haveErr []string
	frame := strings.Repeat(" ", 4) + "at a.B.c(B.java:1)"
	const rounds = 8
	for i := range rounds {
		a := r.agent(t, e, opts)
		a.connected()
		if i == 0 {
			c.Start()
		}
		head := fmt.Sprint("round ", i, " x.YException: z")
		c.Stdout(fmt.Sprint("line ", i), head, frame)
		c.Stderr(fmt.Sprint("err ", i))
		if i%2 == 0 {
			a.waitTexts(c.ID, "stderr", 1) // and so the trace was read as far as it goes, and is open
		}
		if i%4 < 2 {
			a.loseFromNow()
		}
		long := frame + strings.Repeat("x", i%3*decode.ChunkSize)
		c.Stdout(long)
		if r.file && i%3 == 1 {
			must(t, c.RotateLog())
		}
		a.stop()
		have = append(have, a.texts(c.ID, "stdout")...)
		haveErr = append(haveErr, a.texts(c.ID, "stderr")...)
		c.Stdout(frame)
		want = append(want, fmt.Sprint("line ", i), strings.Join([]string{head, frame, long, frame}, "\n"))
		wantErr = append(wantErr, fmt.Sprint("err ", i))
	}
	a := r.agent(t, e, opts)
	c.Stdout("end")
	a.waitTexts(c.ID, "stdout", len(want)+1-len(have))
	a.waitTexts(c.ID, "stderr", len(wantErr)-len(haveErr))
	checkSequence(t, "stdout", append(want, "end"), append(have, a.texts(c.ID, "stdout")...))
	checkSequence(t, "stderr", wantErr, append(haveErr, a.texts(c.ID, "stderr")...))
}
