package capture_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, b, 0o640))
}

// replaceFile puts a new file in the place of another, in one step.
func replaceFile(t *testing.T, path string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(path+"~new", content, 0o640))
	must(t, os.Rename(path+"~new", path))
}

// odd is a container whose log's files somebody handles, and an agent that
// reads them.
type odd struct {
	*agent
	t    *testing.T
	c    *dockertest.Ctr
	path string
	want []string
}

// oddCase runs a test with a watch and without. Engines since 23 unlink a
// single file at a log rotation.
func oddCase(t *testing.T, spec dockertest.Container, run func(t *testing.T, o *odd)) {
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprint("watched=", watched), func(t *testing.T) {
			e := dockertest.Start(t, dockertest.WithAPIVersion("1.51", ""))
			a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile, "Heartbeat_Interval": "1s"}, func(c *capture.Config) { c.SetUnwatched(!watched) })
			a.connected()
			spec := spec
			spec.Name = "web"
			c := viaFile.run(t, e, spec)
			run(t, &odd{agent: a, t: t, c: c, path: c.LogPath()})
			if n := a.col.Totals().Stalls; n > 0 {
				t.Errorf("%v stalls", n)
			}
		})
	}
}

// write has the container write lines and waits for them.
func (o *odd) write(n int) {
	o.t.Helper()
	from := len(o.want)
	lines := sequence("out", from, from+n)
	o.c.Stdout(lines...)
	o.want = append(o.want, lines...)
	o.waitTexts(o.c.ID, "", len(o.want))
	o.check()
}

// check compares what came with what was written.
func (o *odd) check() {
	o.t.Helper()
	checkSequence(o.t, "lines", o.want, o.texts(o.c.ID, ""))
}

// recognised is how often the reader has found a file in the log's place that holds
// what it had read.
func (o *odd) recognised() int {
	return strings.Count(o.log.String(), "a log file was read before, in whole or in part")
}

// A rotated file that the Engine does not keep, and so never touches again, is
// not read: left by Engine 20.10 before an upgrade, or by whoever made a copy.
func TestStaleRotatedFile(t *testing.T) {
	for _, zipped := range []bool{false, true} {
		oddCase(t, dockertest.Container{MaxSize: 10000, MaxFile: 1}, func(t *testing.T, o *odd) {
			o.write(50)
			copyFile(t, o.path, o.path+".1")
			if zipped {
				zipFile(t, o.path+".1")
			}
			for range 5 {
				must(t, o.c.RotateLog())
				o.write(10)
			}
			for range 5 {
				o.write(110) // a whole file
			}
			o.noGap()
		})
	}
	// Older than the agent: no head of it was ever read.
	oddCase(t, dockertest.Container{MaxSize: 10000, MaxFile: 1}, func(t *testing.T, o *odd) {
		old := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
		replaceFile(t, o.path+".1", bytes.Repeat(fmt.Appendf(nil, `{"log":"stale\n","stream":"stdout","time":%q}`+"\n", old), 100))
		for range 5 {
			o.write(10)
			must(t, o.c.RotateLog())
		}
		o.write(1)
		o.noGap()
	})
}

func zipFile(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	must(t, os.WriteFile(path+".gz", z.Bytes(), 0o640))
	must(t, os.Remove(path))
}

// What counts as log at the start is what the Engine shows.
func TestStaleFileIsNoLog(t *testing.T) {
	for _, start := range []string{"beginning", "1h", "tail:30"} {
		for _, maxFile := range []int{1, 2} {
			e := dockertest.Start(t, dockertest.WithAPIVersion("1.51", ""))
			c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 1 << 20, MaxFile: maxFile})
			c.Stdout(sequence("old", 0, 20)...)
			copyFile(t, c.LogPath(), c.LogPath()+".1")
			must(t, c.RotateLog())
			c.Stdout(sequence("out", 0, 20)...)
			want := sequence("out", 0, 20)
			if maxFile > 1 {
				want = append(sequence("old", 0, 20), want...)
				want = want[map[bool]int{true: 10}[start == "tail:30"]:]
			}
			a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile, "Start_From": start})
			a.waitRecords(len(want))
			c.Stdout("last")
			a.waitRecords(len(want) + 1)
			checkSequence(t, start, append(want, "last"), a.texts(c.ID, ""))
		}
	}
}

// logrotate's copytruncate: what was written before the copy was made is read
// from that, whatever its name.
func TestCopyTruncate(t *testing.T) {
	for _, name := range []string{".1", "-20261125", ".1.gz"} {
		oddCase(t, dockertest.Container{}, func(t *testing.T, o *odd) {
			o.write(100)
			const rounds = 4
			for i := range rounds {
				for range 10 {
					o.write(1)
				}
				lines := sequence("out", len(o.want), len(o.want)+3)
				o.c.Stdout(lines...)
				o.want = append(o.want, lines...)
				to := strings.TrimSuffix(o.path+name, ".gz")
				copyFile(t, o.path, to)
				if strings.HasSuffix(name, ".gz") {
					zipFile(t, to)
				}
				must(t, o.c.TruncateLog(i%2 == 1))
				o.waitTexts(o.c.ID, "", len(o.want))
				o.write(1)
			}
			if n := o.gaps(); n != rounds {
				t.Errorf("%d gaps for %d truncations", n, rounds)
			}
		})
	}
}

// The same while nobody reads.
func TestCopyTruncateWhileAway(t *testing.T) {
	oddCase(t, dockertest.Container{}, func(t *testing.T, o *odd) {
		o.write(100)
		o.pauseReading()
		lines := sequence("out", 100, 200)
		o.c.Stdout(lines...)
		o.want = append(o.want, lines...)
		copyFile(t, o.path, o.path+"-20261125")
		must(t, o.c.TruncateLog(false))
		lines = sequence("out", 200, 300)
		o.c.Stdout(lines...)
		o.want = append(o.want, lines...)
		o.resumeReading()
		o.waitTexts(o.c.ID, "", 300)
		o.write(10)
		if n := o.gaps(); n != 1 {
			t.Errorf("%d gaps", n)
		}
	})
}

// A part of the file is cut off: what is left was delivered before.
func TestTruncatedInPart(t *testing.T) {
	for _, midLine := range []int{0, 10} {
		oddCase(t, dockertest.Container{}, func(t *testing.T, o *odd) {
			o.write(100)
			content, err := os.ReadFile(o.path)
			must(t, err)
			half := len(content)/2 + bytes.IndexByte(content[len(content)/2:], '\n') + 1
			must(t, os.Truncate(o.path, int64(half+midLine)))
			o.waitFor("the truncation to be seen", func() bool { return o.gaps() == 1 })
			o.write(10)
			// As "tail > tmp; cat tmp > log" does.
			content, err = os.ReadFile(o.path)
			must(t, err)
			must(t, os.WriteFile(o.path, content[half/2+bytes.IndexByte(content[half/2:], '\n')+1:], 0o640))
			o.waitFor("the truncation to be seen", func() bool { return o.gaps() == 2 })
			o.write(10)
		})
	}
}

// A backup is put in the place of the log, in the file or as another one.
func TestRestoredFromBackup(t *testing.T) {
	for _, inPlace := range []bool{true, false} {
		oddCase(t, dockertest.Container{MaxSize: 1 << 20, MaxFile: 1}, func(t *testing.T, o *odd) {
			for _, rotated := range []bool{false, true} {
				o.write(100)
				backup, err := os.ReadFile(o.path)
				must(t, err)
				o.write(100)
				if rotated {
					must(t, o.c.RotateLog())
					o.write(10)
				}
				before := o.gaps()
				if inPlace {
					must(t, os.WriteFile(o.path, backup, 0o640))
					o.waitFor("the truncation to be seen", func() bool { return o.gaps() == before+1 })
				} else {
					before := o.recognised()
					replaceFile(t, o.path, backup)
					o.waitFor("the file to be looked at", func() bool { return o.recognised() > before })
				}
				must(t, o.c.ReopenLog())
				o.write(10)
			}
		})
	}
}

// The copy of a file has the anchor too: the newest place is right, whatever
// the files are called.
func TestCopyBesideTheLog(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Reader": readerFile})
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	a := startAgent(t, e.Host(), opts)
	viaFile.reading(t, a, c)
	c.Stdout(sequence("out", 0, 20)...)
	a.waitRecords(20)
	a.stop()
	c.Stdout(sequence("out", 20, 40)...)
	copyFile(t, c.LogPath(), c.LogPath()+".1")
	c.Stdout(sequence("out", 40, 60)...)
	b, err := os.ReadFile(opts["DB"])
	must(t, err)
	b = bytes.ReplaceAll(b, []byte(`"file"`), []byte(`"none"`)) // as of a position that comes from the API
	must(t, os.WriteFile(opts["DB"], b, 0o600))
	a = startAgent(t, e.Host(), opts)
	a.waitRecords(40)
	c.Stdout("last")
	a.waitRecords(41)
	checkSequence(t, "lines", append(sequence("out", 20, 60), "last"), a.texts(c.ID, ""))
	a.noGap()
}

// Where a position comes from the API, the end of a file that is full of equal lines
// without a time does not tell how many came before.
func TestEqualLinesFillAFile(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Reader": readerFollow})
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	a := startAgent(t, e.Host(), opts)
	must(t, c.WaitFollowers(testContext(t), 1))
	beat := func(n int) {
		for range n {
			c.Stamped("0001-01-01T00:00:00Z", dockertest.Stdout, "beat")
		}
	}
	beat(4)
	a.waitRecords(4)
	a.stop()
	beat(2000) // more than are looked at first
	opts["Reader"] = readerFile
	a = startAgent(t, e.Host(), opts)
	viaFile.reading(t, a, c)
	c.Stdout("last")
	a.waitFor("the last line", func() bool { return slices.Contains(a.texts(c.ID, ""), "last") })
	if n := len(a.texts(c.ID, "")); n != 2001 {
		t.Errorf("%d lines came, not 2001", n)
	}
	a.noGap()
}

// Behind a gap all is new that the Engine keeps, whatever the clock said since.
func TestGapAndClockStep(t *testing.T) {
	clock := make(chan time.Time, 1)
	clock <- time.Now()
	read := func() time.Time {
		now := (<-clock).Add(time.Microsecond)
		clock <- now
		return now
	}
	e := dockertest.Start(t, dockertest.WithClock(read))
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile, "Start_From": "beginning"})
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 10000, MaxFile: 2})
	c.Stdout(sequence("old", 0, 50)...)
	a.waitRecords(50)
	a.pauseReading()
	clock <- (<-clock).Add(-time.Hour)
	c.Stdout(sequence("new", 0, 500)...)
	left := 0
	for _, name := range []string{c.LogPath(), c.LogPath() + ".1"} {
		b, err := os.ReadFile(name)
		must(t, err)
		left += bytes.Count(b, []byte("\n"))
	}
	a.resumeReading()
	c.Stdout(sequence("new", 500, 550)...)
	a.waitRecords(50 + left + 50)
	checkSequence(t, "lines", append(sequence("old", 0, 50), sequence("new", 500-left, 550)...), a.texts(c.ID, ""))
	if n := a.gaps(); n != 1 {
		t.Errorf("%d gaps", n)
	}
}
