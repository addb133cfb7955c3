package capture_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// Start_From tail:N of a log that is empty is for the first start only.
func testTailOfEmptyLog(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	c := r.run(t, e, dockertest.Container{Name: "web"})
	opts := dbOptions(t, map[string]string{"Start_From": "tail:5"})
	a := r.agent(t, e, opts)
	a.connected()
	r.reading(t, a, c)
	a.stop()
	c.Stdout(sequence("out", 0, 40)...)
	a = r.agent(t, e, opts)
	a.waitRecords(40)
	checkSequence(t, "lines", sequence("out", 0, 40), a.texts(c.ID, ""))
}

// Start_From tail:N begins with the first piece of a line that the last N
// records begin in the middle of, whatever the other std stream writes.
func testTailInsideALine(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	long := func(i int) string { return fmt.Sprint("line ", i, " ", strings.Repeat("x", 40_000)) }
	for tail, want := range map[string][]string{
		"tail:1":   {"error", long(2)},
		"tail:2":   {"error", long(2)},
		"tail:4":   {"error", long(2)},
		"tail:5":   {long(1), "error", long(2)},
		"tail:100": {long(0), long(1), "error", long(2)},
	} {
		t.Run(tail, func(t *testing.T) {
			c := r.run(t, e, dockertest.Container{})
			c.Stdout(long(0), long(1))
			c.Write(dockertest.Stdout, []byte(long(2)))
			c.Stderr("error")
			c.Write(dockertest.Stdout, []byte("\n"))
			a := r.agent(t, e, map[string]string{"Start_From": tail, "Include": "id=" + c.ID})
			a.connected()
			a.waitTexts(c.ID, "", len(want))
			c.Stdout("last")
			a.waitTexts(c.ID, "", len(want)+1)
			checkSequence(t, tail, append(want, "last"), a.texts(c.ID, ""))
		})
	}
}

// The position moves also by records that are not to be delivered, so that
// after a restart nothing is missed that was never wanted.
func testFilteredRecordsMoveThePosition(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Streams": "stdout"})
	a := r.agent(t, e, opts)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web", MaxSize: 10_000, MaxFile: 2})
	c.Stdout("wanted")
	a.waitRecords(1)
	for range 10 {
		c.Stderr(sequence("noise", 0, 99)...)
		last := time.Now()
		c.WriteAt(last, dockertest.Stderr, []byte("noise\n"))
		a.waitFor("the noise to be read", func() bool { at := a.stream(c.ID).Position; return at != nil && !at.Before(last) })
	}
	a.stop()
	if !r.file {
		c.Forget(c.Records() - 100)
	}
	a = r.agent(t, e, opts)
	a.connected()
	c.Stdout("wanted too")
	a.waitRecords(1)
	checkSequence(t, "lines", []string{"wanted too"}, a.texts(c.ID, ""))
	if n := a.col.Totals().Gaps; n != 0 {
		t.Errorf("%v gaps", n)
	}
}
