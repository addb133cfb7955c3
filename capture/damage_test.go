package capture_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/status"
)

// apis are the versions whose ways with a log differ: Engine 20.10, 25 and 28.
var apis = []string{"1.41", "1.44", "1.51"}

func quick(c *capture.Config) {
	c.HeartbeatInterval, c.RotateInterval, c.PollMin, c.PollMax = 200*time.Millisecond, 100*time.Millisecond, 5*time.Millisecond, 20*time.Millisecond
}

// leftBehind is a container with 200 lines that an agent has read, and how another
// one goes on behind them.
func leftBehind(t *testing.T, api, reader string) (e *dockertest.Engine, opts map[string]string, c *dockertest.Ctr) {
	t.Helper()
	e = dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
	opts = dbOptions(t, map[string]string{"Reader": reader})
	a := startAgent(t, e.Host(), opts, quick)
	a.connected()
	c = e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("old", 0, 200)...)
	a.waitRecords(200)
	a.stop()
	must(t, c.WaitFollowers(testContext(t), 0))
	return e, opts, c
}

// What stands behind a damaged place comes, although a forward read does not
// get there, and a gap is said: lines written while Fluent Bit was away, few or
// many, and those that follow.
func TestDamagedLog(t *testing.T) {
	for _, api := range apis {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, behind := range []int{3, 30, 300, 5000} {
				t.Run(fmt.Sprintf("%s %s %d", api, reader, behind), func(t *testing.T) {
					e, opts, c := leftBehind(t, api, reader)
					c.Damage()
					c.Stdout("is glued to the damage")
					c.Stdout(sequence("new", 0, behind)...)
					b := startAgent(t, e.Host(), opts, quick)
					if api == "1.41" && behind > position.TrailLength {
						b.waitRecords(behind - 27) // the others are further back than what can be compared
						b.waitLog("gap: ")
						return
					}
					b.waitRecords(behind)
					c.Stdout(sequence("later", 0, 100)...)
					b.waitRecords(behind + 100)
					if have := b.texts(c.ID, ""); len(have) != behind+100 {
						t.Errorf("%d lines, not %d", len(have), behind+100)
					}
					want := map[string]int{}
					for _, l := range append(sequence("new", 0, behind), sequence("later", 0, 100)...) {
						want[l]++
					}
					for _, l := range b.texts(c.ID, "") {
						want[l]--
					}
					for l, n := range want {
						if n != 0 {
							t.Fatalf("%q: %d times too few", l, n)
						}
					}
					if n := b.col.Totals().Gaps; n == 0 {
						t.Error("no gap was counted")
					}
				})
			}
		}
	}
}

// While it is looked for how much of a damaged log can be read, the container
// writes on: what the Engine can read of it comes, also its oldest lines.
func TestDamagedLogThatGrows(t *testing.T) {
	const grown = 8
	for _, api := range apis {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, behind := range []int{3, 30, 300} {
				t.Run(fmt.Sprintf("%s %s %d", api, reader, behind), func(t *testing.T) {
					e, opts, c := leftBehind(t, api, reader)
					c.Damage()
					c.Stdout("is glued to the damage")
					c.Stdout(sequence("new", 0, behind)...)
					var mu sync.Mutex
					n, asked := 0, 0
					e.BeforeLog(func(dockertest.LogQuery) {
						mu.Lock()
						defer mu.Unlock()
						if asked++; n < grown && asked%4 == 0 {
							c.Stdout(sequence("grown", n, n+1)...)
							n++
						}
					})
					b := startAgent(t, e.Host(), opts, quick)
					b.waitFor("the last line", func() bool {
						mu.Lock()
						defer mu.Unlock()
						return n == grown
					})
					want := append(sequence("new", 0, behind), sequence("grown", 0, grown)...)
					b.waitRecords(len(want))
					have := b.texts(c.ID, "")
					slices.Sort(have) // what 20.10 left out comes late
					if slices.Sort(want); !slices.Equal(have, want) {
						t.Errorf("%d lines, not %d: %.300q", len(have), len(want), have)
					}
					if n := b.col.Totals().Gaps; n == 0 {
						t.Error("no gap was counted")
					}
				})
			}
		}
	}
}

// aroundDamage writes 60 lines, what is damaged, and so many more lines.
func aroundDamage(c *dockertest.Ctr, behind int) (lines []string) {
	lines = append(sequence("between", 0, 60), sequence("new", 0, behind)...)
	c.Stdout(lines[:60]...)
	c.Damage()
	c.Stdout("is glued to the damage")
	c.Stdout(lines[60:]...)
	return lines
}

// What stands between the position and the damage comes too, although the first
// tails that are asked for begin behind the position and end at the damage.
func TestDamageBehindNewLines(t *testing.T) {
	for _, api := range apis {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, behind := range []int{5, 30, 45} {
				t.Run(fmt.Sprintf("%s %s %d", api, reader, behind), func(t *testing.T) {
					e, opts, c := leftBehind(t, api, reader)
					want := aroundDamage(c, behind)
					b := startAgent(t, e.Host(), opts, quick)
					b.waitRecords(len(want))
					have := b.texts(c.ID, "")
					slices.Sort(have) // what 20.10 left out comes late
					if slices.Sort(want); !slices.Equal(have, want) {
						t.Errorf("%d lines, not %d: %.300q", len(have), len(want), have)
					}
					if n := b.col.Totals().Gaps; n == 0 {
						t.Error("no gap was counted")
					}
				})
			}
		}
	}
}

// eachFollowed follows a container on an Engine of each API version.
func eachFollowed(t *testing.T, spec dockertest.Container, do func(t *testing.T, a *agent, c *dockertest.Ctr)) {
	for _, api := range apis {
		t.Run(api, func(t *testing.T) {
			e := dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
			a := startAgent(t, e.Host(), map[string]string{"Reader": readerFollow}, quick)
			a.connected()
			do(t, a, e.Run(spec))
		})
	}
}

// What stands before the damage comes also where the position was rotated away: with
// nothing behind the damage that can be read, and with lines there.
func TestDamageAndRotatedAway(t *testing.T) {
	for _, api := range apis {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, behind := range []int{0, 5, 100} {
				t.Run(fmt.Sprintf("%s %s %d", api, reader, behind), func(t *testing.T) {
					e, opts, c := leftBehind(t, api, reader)
					want := aroundDamage(c, behind)
					c.RotateAway(200)
					if api == "1.41" && behind == 100 {
						want = slices.Delete(want, 60, 60+27) // which its decoder had buffered
					}
					b := startAgent(t, e.Host(), opts, quick)
					b.waitRecords(len(want))
					if have := b.texts(c.ID, ""); !slices.Equal(have, want) {
						t.Errorf("%d lines, not %d: %.300q", len(have), len(want), have)
					}
					if n := b.col.Totals().Gaps; n == 0 {
						t.Error("no gap was counted")
					}
				})
			}
		}
	}
}

// Where a container has ended at a damage, what stands before that is all there is: a
// line without an end comes, and reading does not fail for ever.
func TestEndedAtDamage(t *testing.T) {
	line := strings.Repeat("a", decode.ChunkSize) + strings.Repeat("b", decode.ChunkSize) + strings.Repeat("c", decode.ChunkSize)
	for _, api := range apis {
		for _, reader := range []string{readerFollow, readerPoll} {
			for _, damages := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s %s %d", api, reader, damages), func(t *testing.T) {
					inVirtualTime(t, map[string]string{"Reader": reader}, func(t *testing.T, e *dockertest.Engine, a *agent) {
						e.SetLiveRestore(true)
						e.SetAPIVersion(api, "")
						crash := func(c *dockertest.Ctr) {
							e.Crash()
							c.Damage()
							c.Stdout("is glued to the damage")
							must(t, e.Up())
							time.Sleep(time.Minute)
						}
						e.Crash() // the next one is of another version
						must(t, e.Up())
						a.connected()
						c := e.Run(dockertest.Container{Name: "web", Driver: "local"})
						c.Stdout("first")
						if damages > 1 {
							time.Sleep(time.Minute)
							crash(c)
						}
						c.Write(dockertest.Stdout, []byte(line))
						time.Sleep(time.Minute)
						crash(c)
						c.Stop()
						time.Sleep(2 * status.FailingTime)
						checkSequence(t, "lines", []string{"first", line}, a.texts(c.ID, ""))
						if h := a.col.Health(); !h.Ready {
							t.Errorf("not ready: %q", h.Problems)
						}
						if n := a.gaps(); api == "1.44" && n == 0 {
							t.Error("no gap was counted")
						}
					})
				})
			}
		}
	}
}

// An Engine that is outrun by its own log rotation leaves records out while a
// log is followed; they come late.
func TestLeftOutRecordsAreDeliveredLate(t *testing.T) {
	eachFollowed(t, dockertest.Container{Name: "web"}, func(t *testing.T, a *agent, c *dockertest.Ctr) {
		var want []string
		n := 0
		for range 5 {
			lines := sequence("out", n, n+40)
			n += 40
			want = append(want, lines...)
			c.Stdout(lines[:20]...)
			a.waitTexts(c.ID, "stdout", n-20)
			c.SkipFollowers(10)
			c.Stdout(lines[20:]...)
			a.waitTexts(c.ID, "stdout", n)
		}
		seen := map[string]int{}
		for _, l := range a.texts(c.ID, "") {
			seen[l]++
		}
		for _, l := range want {
			if seen[l] != 1 {
				t.Errorf("%q came %d times", l, seen[l])
			}
		}
		if n := a.counted("late_records_total"); n == 0 {
			t.Error("no late record was counted")
		}
		if n := a.col.Totals().Gaps; n != 0 {
			t.Errorf("%v gaps", n)
		}
	})
}

// However much was left out: all that the log holds still is delivered.
func TestMuchThatWasLeftOut(t *testing.T) {
	eachFollowed(t, dockertest.Container{Name: "web"}, func(t *testing.T, a *agent, c *dockertest.Ctr) {
		const left = 4 * 4096 // four times what a rotation reads again at most
		want := sequence("out", 0, left+40)
		c.Stdout(want[:20]...)
		a.waitTexts(c.ID, "stdout", 20)
		c.SkipFollowers(left)
		c.Stdout(want[20:]...)
		a.waitTexts(c.ID, "stdout", len(want))
		have := a.texts(c.ID, "stdout")
		slices.Sort(have) // what was left out comes late
		slices.Sort(want)
		checkSequence(t, "lines", want, have)
		if n := a.col.Totals().Gaps; n != 0 {
			t.Errorf("%v gaps", n)
		}
	})
}

// A long line of which the Engine leaves out the beginning, and sends the end behind
// another std stream's record: it comes whole.
func TestBeginningThatWasLeftOut(t *testing.T) {
	eachFollowed(t, dockertest.Container{Name: "web", MaxSize: 1 << 20, MaxFile: 5}, func(t *testing.T, a *agent, c *dockertest.Ctr) {
		long := strings.Repeat("a", decode.ChunkSize) + strings.Repeat("b", decode.ChunkSize)
		c.Stdout(long + "first") // long lines are written here
		c.Stderr("one")
		a.waitRecords(2)
		time.Sleep(200 * time.Millisecond) // the log is asked no more often
		c.SkipFollowers(2)
		c.Write(dockertest.Stdout, []byte(long))
		c.Stderr("between")
		c.Write(dockertest.Stdout, []byte("end\n"))
		c.Stdout("last")
		a.waitTexts(c.ID, "stdout", 3)
		have := a.texts(c.ID, "stdout")
		slices.Sort(have)
		checkSequence(t, "lines", []string{long + "end", long + "first", "last"}, have)
		checkSequence(t, "other lines", []string{"one", "between"}, a.texts(c.ID, "stderr"))
		for _, r := range a.waitRecords(5) {
			if r.Fields["partial"] != "" {
				t.Errorf("flagged: %.20q", r.Fields["log"])
			}
		}
		a.noGap()
		// It goes on where it is.
		c.Stdout("more")
		a.waitTexts(c.ID, "stdout", 4)
	})
}

// Engine 20.10 begins again in the middle of a long line: the line is whole,
// and the capture goes on through stream rotations.
func TestReplayInTheMiddleOfALine(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithAPIVersion("1.41", ""))
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"}, quick)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	var want []string
	for i := range 30 {
		line := strings.Repeat(string(rune('a'+i%26)), 16384) + strings.Repeat(string(rune('A'+i%26)), 20000)
		c.Write(dockertest.Stdout, []byte(line[:33000]))
		c.Stderr("between")
		must(t, c.WaitSent(testContext(t)))
		c.ReplayFollowers(1 + i%5)
		c.Write(dockertest.Stdout, []byte(line[33000:]+"\n"))
		want = append(want, line)
		a.waitTexts(c.ID, "stdout", len(want))
	}
	checkSequence(t, "lines", want, a.texts(c.ID, "stdout"))
	if n := len(a.texts(c.ID, "stderr")); n != 30 {
		t.Errorf("%d lines on stderr, not 30", n)
	}
}

// Where the first byte takes long, and where a follow gives none at all, lines
// come nevertheless: with more patience, then by polling, which is said.
func TestSlowFirstByte(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("old", 0, 300)...)
	opts := dbOptions(t, map[string]string{"Reader": "follow", "Start_From": "beginning"})
	a := startAgent(t, e.Host(), opts)
	a.waitRecords(300)
	a.stop()
	c.Stdout(sequence("down", 0, 300)...)
	e.FirstByte(700 * time.Millisecond)
	b := startAgent(t, e.Host(), opts)
	b.waitFor("a lag while the log is being opened", func() bool {
		for _, st := range b.col.Streams() {
			if st.State == status.Opening && st.Lag > 0.3 {
				return true
			}
		}
		return false
	})
	b.waitRecords(300)
	must(t, c.WaitFollowers(testContext(t), 1))
	c.Stdout(sequence("new", 0, 10)...)
	b.waitRecords(310)
	checkSequence(t, "lines", append(sequence("down", 0, 300), sequence("new", 0, 10)...), b.texts(c.ID, ""))
	if n := len(c.LogQueries()); n > 40 {
		t.Errorf("%d log requests", n)
	}
}

// A run of equal pieces that began before what the Engine has sent is not taken
// for that behind which the capture goes on.
func TestRunOfEqualPieces(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Max_Line_Size": "16k", "Reader": "follow"})
	a := startAgent(t, e.Host(), opts)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	piece := strings.Repeat("x", 16384)
	c.Write(dockertest.Stdout, []byte(strings.Repeat(piece, 5)))
	must(t, c.WaitSent(testContext(t)))
	a.waitRecords(1)
	a.stop()
	c.Write(dockertest.Stdout, []byte(strings.Repeat(piece, 80)+"\n"))
	c.Stdout("next")
	b := startAgent(t, e.Host(), opts)
	b.waitRecords(1)
	checkSequence(t, "lines", []string{"next"}, b.texts(c.ID, ""))
}
