package capture_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

var viaFile = readerCase{name: "file", file: true}

func (a *agent) gaps() int { return int(a.col.Totals().Gaps) }

func (a *agent) noGap() {
	a.t.Helper()
	if n := a.col.Totals().Gaps; n != 0 {
		a.t.Errorf("%v gaps were counted", n)
	}
}

// Log rotation of every kind, at the pace of the reader: nothing is lost.
func TestLogRotationLosesNothing(t *testing.T) {
	for _, maxFile := range []int{1, 2, 5} {
		for _, compress := range []bool{false, true} {
			for _, api := range []string{"1.40", "1.41", "1.51"} {
				t.Run(fmt.Sprintf("max-file=%d compress=%v api=%s", maxFile, compress, api), func(t *testing.T) {
					e := dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
					a := viaFile.agent(t, e, nil)
					a.connected()
					c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 10000 * int64(min(2, maxFile)-1), MaxFile: maxFile, Compress: compress})
					const rounds, each = 60, 90 // about one file a round
					for i := range rounds {
						c.Stdout(sequence("out", i*each, (i+1)*each)...)
						a.waitRecords((i + 1) * each)
						if maxFile == 1 { // then nobody can be behind
							must(t, c.RotateLog())
						}
					}
					c.Stop()
					checkSequence(t, "lines", sequence("out", 0, rounds*each), a.texts(c.ID, ""))
					if maxFile > 1 || api != "1.40" { // which truncates a single file
						a.noGap()
					}
				})
			}
		}
	}
}

// A reader that was away finds its place in rotated and compressed files.
func TestResumeInRotatedFiles(t *testing.T) {
	for _, compress := range []bool{false, true} {
		for _, live := range []bool{false, true} {
			t.Run(fmt.Sprintf("compress=%v held=%v", compress, live), func(t *testing.T) {
				e := dockertest.Start(t)
				a := viaFile.agent(t, e, nil)
				a.connected()
				c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 20000, MaxFile: 5, Compress: compress})
				c.Stdout(sequence("out", 0, 100)...)
				a.waitRecords(100)
				if live {
					a.pause(true)
				} else {
					a.pauseReading()
				}
				c.Stdout(sequence("out", 100, 700)...) // some three files
				must(t, c.RotateLog())
				c.Stdout(sequence("out", 700, 720)...)
				if live {
					a.pause(false)
				} else {
					a.resumeReading()
				}
				a.waitRecords(720)
				checkSequence(t, "lines", sequence("out", 0, 720), a.texts(c.ID, ""))
				a.noGap()
			})
		}
	}
}

func TestFilesRotatedAwayAreAGap(t *testing.T) {
	e := dockertest.Start(t)
	a := viaFile.agent(t, e, nil)
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 10000, MaxFile: 2})
	c.Stdout(sequence("out", 0, 10)...)
	a.waitRecords(10)
	a.pauseReading()
	c.Stdout(sequence("out", 10, 1000)...)
	left := c.Records()
	a.resumeReading()
	c.Stdout("last")
	a.wait("the last line", func(rs []got) bool { return rs[len(rs)-1].Fields["log"] == "last" })
	have := a.texts(c.ID, "")
	from := 0
	_, err := fmt.Sscanf(have[10], "out %d", &from)
	must(t, err)
	if from < 100 || left != 1000 {
		t.Errorf("resumed at %q", have[10])
	}
	checkSequence(t, "lines", append(append(sequence("out", 0, 10), sequence("out", from, 1000)...), "last"), have)
	if n := a.col.Totals().Gaps; n == 0 {
		t.Error("no gap was counted")
	}
}

// A gap is where the files are missing, behind all that is held open and was not
// read yet: what is incomplete there is flagged, and nothing else.
func TestGapIsWhereFilesAreMissing(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile, "Start_From": "beginning", "Buffer_Limit": "1M"})
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 100 << 20, MaxFile: 2})
	long := strings.Repeat("x", decode.ChunkSize)
	c.Stdout(long+"first", "short")
	a.waitRecords(2)
	a.pause(true)
	kept := sequence("kept", 0, 10_000)
	c.Stdout(kept...)
	a.waitFor("the outbox to be full", func() bool { o := a.col.View().Outbox; return o.Bytes >= o.Limit })
	c.Write(dockertest.Stdout, []byte(long)) // of which the rest is in a file that is removed
	rotate := func() {
		for range 10 {
			c.Stderr("gone")
			must(t, c.RotateLog())
		}
	}
	rotate()
	c.Stdout("the rest")
	c.Write(dockertest.Stdout, []byte(long)) // of which the rest is in a file that stays
	rotate()
	c.Stdout("headless", "last")
	a.waitFor("a gap", func() bool { return a.gaps() > 0 })
	a.pause(false)
	a.wait("the last line", func(rs []got) bool { return rs[len(rs)-1].Fields["log"] == "last" })
	want := append(append([]string{long + "first", "short"}, kept...), "partial: "+long, "partial: headless", "last")
	var have []string
	for _, r := range a.waitRecords(len(want)) {
		text := r.Fields["log"]
		if r.Fields["partial"] != "" {
			text = "partial: " + text
		}
		if r.Fields["stream"] == "stdout" {
			have = append(have, text)
		}
	}
	checkSequence(t, "lines", want, have)
}

// Behind a gap after a restart, what may be the rest of a long line is flagged,
// where the position says that the container wrote long ones.
func testHeadlessAfterARestart(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Start_From": "beginning"})
	a := r.agent(t, e, opts)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web", MaxSize: 100 << 20, MaxFile: 2})
	long := strings.Repeat("x", decode.ChunkSize)
	c.Stdout(long+"long", "short")
	a.waitRecords(2)
	a.stop()
	rotate := func() {
		if r.file {
			must(t, c.RotateLog())
		}
	}
	rotate()
	c.Write(dockertest.Stdout, []byte(long))
	rotate()
	rotate()
	c.Stdout("headless", "last")
	if !r.file {
		c.Forget(4)
	}
	a = r.agent(t, e, opts)
	a.wait("the last line", func(rs []got) bool { return len(rs) > 0 && rs[len(rs)-1].Fields["log"] == "last" })
	for _, rec := range a.waitRecords(2) {
		if want := rec.Fields["log"] == "headless"; (rec.Fields["partial"] != "") != want {
			t.Errorf("%.20s: partial=%s", rec.Fields["log"], rec.Fields["partial"])
		}
	}
}

func TestTruncatedFile(t *testing.T) {
	for _, nuls := range []bool{false, true} {
		e := dockertest.Start(t)
		a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile})
		a.connected()
		c := viaFile.run(t, e, dockertest.Container{Name: "web"})
		want := []string{}
		for i := range 5 {
			// fewer lines each time, so that the file may be as long as it was and longer
			lines := sequence(fmt.Sprint("round ", i), 0, 100+100*(i%2))
			c.Stdout(lines...)
			want = append(want, lines...)
			a.waitRecords(len(want))
			must(t, c.TruncateLog(nuls))
		}
		c.Stdout("last")
		a.waitRecords(len(want) + 1)
		checkSequence(t, "lines", append(want, "last"), a.texts(c.ID, ""))
		if n := a.gaps(); n != 5 { // nobody can know that nothing was written in between
			t.Errorf("%d gaps of 5 truncations were counted", n)
		}
		if n := strings.Count(a.log.String(), "the log file was truncated, lines may be lost"); n != 1 {
			t.Errorf("the truncations were said %d times", n)
		}
	}
}

func TestHugeHoleIsSkipped(t *testing.T) {
	e := dockertest.Start(t)
	a := viaFile.agent(t, e, nil)
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	c.Stdout("first")
	a.waitRecords(1)
	must(t, os.Truncate(c.LogPath(), 100<<30))
	c.Stdout("second")
	a.waitRecords(2)
	must(t, c.TruncateLog(true))
	c.Stdout("third")
	a.waitRecords(3)
	checkSequence(t, "lines", []string{"first", "second", "third"}, a.texts(c.ID, ""))
}

func TestDamagedFile(t *testing.T) {
	e := dockertest.Start(t)
	a := viaFile.agent(t, e, nil)
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	c.Stdout("a")
	must(t, c.TearLog(dockertest.Stdout, "torn", 10))
	c.Stdout("b")
	must(t, c.GarbageLog([]byte("\xff\xfe\x00garbage\n\n{\"log\":17}\n")))
	c.Stdout("c")
	must(t, c.GarbageLog([]byte(strings.Repeat("\x00", 300000))))
	c.Stdout("d")
	must(t, c.GarbageLog([]byte(strings.Repeat("long ", 1<<20))))
	c.Stdout("e", "f")
	a.waitRecords(6)
	checkSequence(t, "lines", []string{"a", "b", "c", "d", "e", "f"}, a.texts(c.ID, ""))
	if n := a.counted("damaged_records_total"); n < 4 {
		t.Errorf("%v damaged places counted", n)
	}
	if n := strings.Count(a.log.String(), "damaged"); n != 1 {
		t.Errorf("damage was said %d times", n)
	}
}

// A container that is removed at once, read by a slow sink: to the last line.
func TestRemovedContainerIsReadToItsEnd(t *testing.T) {
	for _, tc := range []dockertest.Container{{}, {MaxSize: 1 << 20, MaxFile: 3}} {
		e := dockertest.Start(t)
		a := viaFile.agent(t, e, map[string]string{"Buffer_Limit": "1M"})
		a.connected()
		tc.Name, tc.AutoRemove = "burst", true
		c := viaFile.run(t, e, tc)
		c.Stdout("first")
		a.waitRecords(1)
		a.pause(true)
		const n = 20000
		c.Flood(dockertest.Stdout, n, func(dst []byte, i int) []byte { return fmt.Appendf(dst, "out %0100d", i) })
		if tc.MaxSize > 0 {
			a.waitFor("the rotated files to be held", func() bool { return held(t, c.LogPath()) >= 5 })
		}
		c.Stop()
		a.pause(false)
		a.waitRecords(n + 1)
		a.waitFor("the stream to end", func() bool { return a.running() == 0 })
	}
}

// held is how many files of a log this process has open.
func held(t *testing.T, path string) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, path) {
			n++
		}
	}
	return n
}

// A container that moves between the readers loses and doubles nothing.
func TestPositionCarriesOverBetweenReaders(t *testing.T) {
	for _, tty := range []bool{false, true} {
		e := dockertest.Start(t)
		a := viaFile.agent(t, e, nil)
		a.connected()
		c := viaFile.run(t, e, dockertest.Container{Name: "web", TTY: tty})
		hidden := c.LogPath() + "-hidden"
		n := 0
		write := func() {
			c.Stdout(sequence("out", n, n+100)...)
			n += 100
			a.waitRecords(n)
		}
		for range 4 {
			write()
			a.pauseReading()
			must(t, os.Rename(c.LogPath(), hidden)) // as if it were not mounted here
			a.resumeReading()
			write()
			a.waitFor("a follow stream", func() bool { return c.Followers() == 1 })
			a.pauseReading()
			must(t, os.Rename(hidden, c.LogPath()))
			a.resumeReading()
			write()
			a.waitFor("the end of the follow stream", func() bool { return c.Followers() == 0 })
		}
		checkSequence(t, "lines", sequence("out", 0, n), a.texts(c.ID, ""))
		a.noGap()
	}
}

// Without inotify the files are polled.
func TestFilesArePolledWithoutInotify(t *testing.T) {
	e := dockertest.Start(t)
	a := viaFile.agent(t, e, nil, func(c *capture.Config) { c.SetUnwatched(true) })
	a.connected()
	c := viaFile.run(t, e, dockertest.Container{Name: "web", MaxSize: 10000, MaxFile: 2})
	for i := range 5 {
		c.Stdout(sequence("out", 10*i, 10*i+10)...)
		a.waitRecords(10*i + 10)
	}
	checkSequence(t, "lines", sequence("out", 0, 50), a.texts(c.ID, ""))
}

func TestReaderFile(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Reader": readerFile})
	a.connected()
	journal := e.Run(dockertest.Container{Name: "journal", Driver: "journald"})
	absent := e.Run(dockertest.Container{Name: "absent"})
	link := e.Run(dockertest.Container{Name: "link", LogDir: t.TempDir()})
	c := viaFile.run(t, e, dockertest.Container{Name: "web"})
	for _, c := range []*dockertest.Ctr{journal, absent, c} {
		c.Stdout("line")
	}
	a.waitRecords(1)
	a.waitLog("the log driver cannot be read from a file (option Reader), its driver is journald")
	a.waitLog("the log file cannot be read: open " + absent.LogPath())
	if n := len(a.waitRecords(1)); n != 1 {
		t.Errorf("%d records", n)
	}
	_ = link
}

// What is no json-file is read through the API.
func TestFileThatIsNoLog(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, path string){
		"symlink": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".real"))
			must(t, os.Symlink(path+".real", path))
		},
		"fifo's place": func(t *testing.T, path string) { must(t, os.Remove(path)); must(t, os.Mkdir(path, 0o700)) },
		"other format": func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".other", []byte(strings.Repeat("2023-11-14T22:13:20Z stdout F line\n", 10)), 0o600))
			must(t, os.Rename(path+".other", path))
		},
		"other owner": func(t *testing.T, path string) {
			if os.Getuid() != 0 {
				t.Skip("only root can give files away")
			}
			must(t, os.Chown(path, 12345, 12345))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockertest.Start(t)
			c := viaFile.run(t, e, dockertest.Container{Name: "web"})
			harm(t, c.LogPath())
			c.Stdout(sequence("out", 0, 10)...)
			a := viaFile.agent(t, e, map[string]string{"Start_From": "beginning"})
			a.waitRecords(10)
			checkSequence(t, "lines", sequence("out", 0, 10), a.texts(c.ID, ""))
			a.waitLog("the log is read through the Engine's API")
		})
	}
}

func TestShortLivedFiles(t *testing.T) {
	e := dockertest.Start(t)
	a := viaFile.agent(t, e, nil)
	a.connected()
	const n = 100
	for i := range n {
		c := viaFile.run(t, e, dockertest.Container{Name: fmt.Sprint("job-", i), AutoRemove: true})
		c.Stdout("only")
		time.Sleep(time.Millisecond) // a real one takes tens
		c.Die(0)
	}
	a.waitFor("each container to be read or counted", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.records)+int(a.counted("missed_containers_total")) >= n
	})
	t.Logf("%d of %d", a.count, n)
}
