package capture_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// stepClock is a clock that can be set.
type stepClock struct {
	by   atomic.Int64
	last atomic.Int64
}

// now never gives the same time twice.
func (c *stepClock) now() time.Time {
	return time.Now().Add(time.Duration(c.by.Load() + c.last.Add(1)))
}

func (c *stepClock) step(d time.Duration) { c.by.Add(int64(d)) }

// The clock by which lines and containers are dated steps back and forth while
// they are captured and while nobody looks: each line comes once.
func testClockSteps(t *testing.T, r readerCase) {
	clock := &stepClock{}
	e := dockertest.Start(t, dockertest.WithClock(clock.now))
	opts := map[string]string{"DB": filepath.Join(t.TempDir(), "db.json"), "Resync_Interval": "1s"}
	old := r.run(t, e, dockertest.Container{Name: "old"})
	empty := r.run(t, e, dockertest.Container{Name: "empty"})
	job := &job{c: r.run(t, e, dockertest.Container{Name: "job"})}
	old.Stdout("before the first start")
	job.c.Stdout("before the first start")
	job.c.Stop()
	a := r.agent(t, e, opts)
	a.connected()
	r.reading(t, a, old)
	r.reading(t, a, empty)

	all := []*dockertest.Ctr{old, empty}
	want := map[*dockertest.Ctr][]string{}
	write := func() {
		for _, c := range all {
			n := len(want[c])
			lines := sequence(c.Name(), n, n+20)
			want[c] = append(want[c], lines...)
			c.Stdout(lines...)
		}
	}
	check := func(what string) {
		t.Helper()
		for _, c := range all {
			a.waitTexts(c.ID, "", len(want[c]))
			checkSequence(t, what+": "+c.Name(), want[c], a.texts(c.ID, ""))
		}
	}
	for _, step := range []time.Duration{4 * time.Hour, -6 * time.Hour, time.Hour} {
		clock.step(step)
		all = append(all, r.run(t, e, dockertest.Container{Name: "made after a step by " + step.String()}))
		write()
		job.run(10)
		check("after a step")
		job.check(t, a)
	}

	a.stop()
	clock.step(-8 * time.Hour)
	all = append(all, r.run(t, e, dockertest.Container{Name: "made while nobody looked"}))
	write()
	before := map[*dockertest.Ctr][]string{}
	for _, c := range all {
		before[c] = a.texts(c.ID, "")
		want[c] = want[c][len(before[c]):]
	}
	a = r.agent(t, e, opts)
	check("after a restart")
	if n := a.col.Totals().Gaps; n != 0 {
		t.Errorf("%v gaps", n)
	}
}

// After a gap, what the log holds is new although the clock was set back.
func testGapAndStepBack(t *testing.T, r readerCase) {
	clock := &stepClock{}
	e := dockertest.Start(t, dockertest.WithClock(clock.now))
	a := r.agent(t, e, nil)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web", MaxSize: 10000, MaxFile: 2})
	c.Stdout(sequence("old", 0, 50)...)
	a.waitRecords(50)
	a.pauseReading()
	clock.step(-time.Hour)
	c.Stdout(sequence("new", 0, 500)...)
	if !r.file {
		c.Forget(c.Records() - 100)
	}
	a.resumeReading()
	a.waitLog("gap: ")
	c.Stdout("later")
	a.wait("the last line", func(rs []got) bool { return len(rs) > 0 && rs[len(rs)-1].Fields["log"] == "later" })
	lines := a.texts(c.ID, "")[50:]
	first := 0
	for i, l := range sequence("new", 0, 500) {
		if l == lines[0] {
			first = i
		}
	}
	if !r.file && first != 400 || len(lines) < 20 {
		t.Errorf("%d lines, the first is %q", len(lines), lines[0])
	}
	checkSequence(t, "lines", append(sequence("new", first, 500), "later"), lines)
	if n := a.col.Totals().Gaps; n != 1 {
		t.Errorf("%v gaps", n)
	}
}

// Where the last record delivered was damaged, what follows the ones before it
// comes, and none of these again.
func testGapByDamage(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, nil)
	a := r.agent(t, e, opts)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	c.Stdout(sequence("old", 0, 50)...)
	a.waitRecords(50)
	a.stop()
	saved, err := checkpoint.Peek(opts["DB"])
	must(t, err)
	entry := saved.Containers[c.ID]
	p, err := entry.Position.Restore()
	must(t, err)
	p.Anchor.Marks[p.Anchor.Last].Hash++ // as if the log held another
	p.Place = decode.Place{}
	entry.Position = checkpoint.PositionOf(&p)
	saved.Containers[c.ID] = entry
	b, err := json.Marshal(saved)
	must(t, err)
	must(t, os.WriteFile(opts["DB"], b, 0o600))
	c.Stdout(sequence("new", 0, 20)...)
	a = r.agent(t, e, opts)
	a.wait("the last line", func(rs []got) bool { return len(rs) > 0 && rs[len(rs)-1].Fields["log"] == "new 19" })
	checkSequence(t, "lines", append([]string{"old 49"}, sequence("new", 0, 20)...), a.texts(c.ID, ""))
}

// A machine that starts in the past: lines from its future are old ones.
func testStartsInThePast(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	c := r.run(t, e, dockertest.Container{Name: "web"})
	for range 100 {
		c.WriteAt(time.Now().Add(3*time.Hour), dockertest.Stdout, []byte("yesterday\n"))
	}
	a := r.agent(t, e, nil)
	a.connected()
	r.reading(t, a, c)
	c.Stdout(sequence("out", 0, 20)...)
	a.waitRecords(20)
	checkSequence(t, "lines", sequence("out", 0, 20), a.texts(c.ID, ""))
}

// A first start that lies in the future is said and corrected.
func TestFirstStartInTheFuture(t *testing.T) {
	e := dockertest.Start(t)
	db := filepath.Join(t.TempDir(), "db.json")
	must(t, os.WriteFile(db, []byte(`{"version":1,"first_start":"2100-01-01T00:00:00Z","containers":{}}`), 0o600))
	a := startAgent(t, e.Host(), map[string]string{"DB": db})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("line")
	a.waitRecords(1)
	a.waitLog("option DB: its first start lies in the future")
	a.stop()
	var cp checkpoint.Content
	b, err := os.ReadFile(db)
	must(t, err)
	must(t, json.Unmarshal(b, &cp))
	if cp.FirstStart.After(time.Now()) {
		t.Errorf("%s", b)
	}
}

// A step of the own clock dates anew what is dated by it.
func TestClockIsSet(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithTCP())
	a := startAgent(t, e.TCPHost(), nil)
	a.connected()
	dates := func() (int64, int64) {
		return a.col.Store().Content(true).FirstStart.UnixNano(), a.col.Store().BeganAt()
	}
	start, now := dates()
	a.col.Store().NoteClock(time.Hour)
	if s, n := dates(); s-start < int64(time.Hour-time.Second) || n-now < int64(time.Hour-time.Second) {
		t.Errorf("moved by %v and %v", time.Duration(s-start), time.Duration(n-now))
	}
	if !strings.Contains(a.log.String(), "the clock was set") {
		t.Error("nothing was said")
	}
}
