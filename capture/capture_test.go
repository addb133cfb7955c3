package capture_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
)

func testNewContainerIsReadFromItsBeginning(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, nil)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web", Image: "nginx:1", Labels: map[string]string{
		container.LabelOf("compose_project"): "shop", container.LabelOf("compose_service"): "front"}})
	c.Stdout(sequence("out", 0, 100)...)
	c.Stderr(sequence("err", 0, 100)...)
	rs := a.waitRecords(200)
	checkSequence(t, "stdout", sequence("out", 0, 100), a.texts(c.ID, "stdout"))
	checkSequence(t, "stderr", sequence("err", 0, 100), a.texts(c.ID, "stderr"))
	host, err := os.Hostname()
	must(t, err)
	want := map[string]string{"log": "out 0", "stream": "stdout", "container_id": c.ID, "container_name": "web",
		"image": "nginx:1", "host": host, "compose_project": "shop", "compose_service": "front"}
	for k, v := range want {
		if rs[0].Fields[k] != v {
			t.Errorf("%s is %q, not %q", k, rs[0].Fields[k], v)
		}
	}
	if len(rs[0].Fields) != len(want) {
		t.Errorf("fields are %v", rs[0].Fields)
	}
}

func testStartFrom(t *testing.T, r readerCase) {
	for _, test := range []struct {
		from string
		want []string
	}{
		{"now", sequence("new", 0, 3)},
		{"beginning", append(sequence("old", 0, 300), sequence("new", 0, 3)...)},
		{"tail:2", append(sequence("old", 298, 300), sequence("new", 0, 3)...)},
		{"90s", append(sequence("old", 210, 300), sequence("new", 0, 3)...)},
	} {
		t.Run(test.from, func(t *testing.T) {
			e := dockertest.Start(t)
			c := r.run(t, e, dockertest.Container{Name: "old"})
			now := time.Now()
			for i, line := range sequence("old", 0, 300) {
				// one a second, the last one second ago, with room for a slow machine
				c.WriteAt(now.Add(time.Duration(i-300)*time.Second+500*time.Millisecond), dockertest.Stdout, []byte(line+"\n"))
			}
			idle := r.run(t, e, dockertest.Container{Name: "idle"})
			a := r.agent(t, e, map[string]string{"Start_From": test.from})
			r.reading(t, a, c)
			r.reading(t, a, idle)
			c.Stdout(sequence("new", 0, 3)...)
			idle.Stdout("first")
			a.waitRecords(len(test.want) + 1)
			have := a.texts(c.ID, "")
			if test.from == "90s" { // the start lies a moment after now
				for len(have) > 0 && have[0] != "old 211" && have[0] != "old 210" {
					t.Fatalf("begins with %q", have[0])
				}
				if have[0] == "old 211" {
					test.want = test.want[1:]
				}
			}
			checkSequence(t, "lines", test.want, have)
			checkSequence(t, "idle", []string{"first"}, a.texts(idle.ID, ""))
		})
	}
}

// Whatever cuts a stream, each line arrives once.
func testStreamIsResumedExactly(t *testing.T, r readerCase) {
	for _, test := range []struct {
		name string
		harm func(e *dockertest.Engine, c *dockertest.Ctr)
	}{
		{"cut", func(e *dockertest.Engine, c *dockertest.Ctr) { c.CutFollowers() }},
		{"clean EOF", func(e *dockertest.Engine, c *dockertest.Ctr) { c.EndFollowers() }},
		{"cut inside a frame", func(e *dockertest.Engine, c *dockertest.Ctr) { c.CutAfter(7001, 2); c.CutFollowers() }},
		{"engine error", func(e *dockertest.Engine, c *dockertest.Ctr) { c.SystemErr("log file is gone") }},
		{"garbage", func(e *dockertest.Engine, c *dockertest.Ctr) { c.Inject([]byte("\xff\xfe garbage that is no frame")) }},
		{"frame of 4 GB", func(e *dockertest.Engine, c *dockertest.Ctr) { c.Inject(dockertest.HugeHeader()) }},
		{"restart of the container", func(e *dockertest.Engine, c *dockertest.Ctr) { c.Restart() }},
		{"engine restart", func(e *dockertest.Engine, c *dockertest.Ctr) { e.Down(); _ = e.Up(); c.Start() }},
		{"engine crash with live-restore", func(e *dockertest.Engine, c *dockertest.Ctr) { e.SetLiveRestore(true); e.Crash(); _ = e.Up() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, tty := range []bool{false, true} {
				e := dockertest.Start(t)
				a := r.agent(t, e, nil)
				a.connected()
				c := r.run(t, e, dockertest.Container{Name: "web", TTY: tty})
				const each, rounds = 500, 5
				for i := range rounds {
					c.Stdout(sequence("out", i*each, (i+1)*each)...)
					if !tty {
						c.Stderr(sequence("err", i*each, (i+1)*each)...)
					}
					if i > 0 {
						a.waitRecords(i * each)
					}
					test.harm(e, c)
				}
				n := rounds * each
				checkAfterwards := func(std string) {
					a.wait("all lines", func([]got) bool { return true })
					checkSequence(t, std, sequence(std[3:], 0, n), a.texts(c.ID, std))
				}
				if tty {
					a.waitRecords(n)
				} else {
					a.waitRecords(2 * n)
					checkAfterwards("stderr")
				}
				checkAfterwards("stdout")
				if strings.Contains(a.log.String(), "gap") {
					t.Error("a gap was reported")
				}
			}
		})
	}
}

func TestLogRotatedAwayIsAGap(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), nil)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("out", 0, 100)...)
	a.waitRecords(100)
	e.SetLiveRestore(true)
	e.Down()
	c.Stdout(sequence("out", 100, 300)...)
	c.Forget(200)
	must(t, e.Up())
	c.Stdout(sequence("out", 300, 310)...)
	a.waitRecords(210)
	checkSequence(t, "lines", append(sequence("out", 0, 100), sequence("out", 200, 310)...), a.texts(c.ID, ""))
	if !strings.Contains(a.log.String(), "gap") {
		t.Error("no gap was reported")
	}
}

func testContent(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, map[string]string{"Max_Line_Size": "100k"})
	a.connected()
	for _, spec := range []dockertest.Container{
		{Name: "json"}, {Name: "local", Driver: "local"}, {Name: "tty", TTY: true},
	} {
		t.Run(spec.Name, func(t *testing.T) {
			c := r.run(t, e, spec)
			nl := "\n"
			if spec.TTY {
				nl = "\r\n"
			}
			var want []string
			for _, n := range []int{0, 1, 16383, 16384, 16385, 32767, 32768, 5 * 16384, 100 << 10} {
				want = append(want, strings.Repeat("x", n))
			}
			want = append(want, "  blanks  ", "日本語テキスト", "tab\tand \"quotes\"")
			switch spec.Name {
			case "json":
				want = append(want, "carriage\r")
			case "local": // json-file stores U+FFFD for a character that its chunks cut in two
				want = append(want, strings.Repeat("語", 20000), "NUL \x00 and \xff\xfe no UTF-8")
			}
			for _, line := range want {
				c.Write(dockertest.Stdout, []byte(line+nl))
			}
			c.Write(dockertest.Stdout, []byte("no newline"))
			c.Stop()
			want = append(want, "no newline")
			a.waitTexts(c.ID, "", len(want))
			checkSequence(t, c.Name(), want, a.texts(c.ID, ""))
		})
	}
}

// Incomplete lines of both std streams, with a cut in the middle of both.
func testPartialsAreJoinedPerStdStream(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, nil)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	long := strings.Repeat("a", 40000)
	c.Write(dockertest.Stdout, []byte(long[:20000]))
	c.Write(dockertest.Stderr, []byte(long[:35000]))
	r.read(t, c)
	c.CutFollowers()
	c.Write(dockertest.Stdout, []byte(long[20000:]+"out\n"))
	c.CutFollowers()
	c.Write(dockertest.Stderr, []byte(long[35000:]+"err\nmore\n"))
	a.waitTexts(c.ID, "", 3)
	checkSequence(t, "stdout", []string{long + "out"}, a.texts(c.ID, "stdout"))
	checkSequence(t, "stderr", []string{long + "err", "more"}, a.texts(c.ID, "stderr"))
}

func testLongLineIsCutFlaggedAndCounted(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, map[string]string{"Max_Line_Size": "64k"})
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	long := strings.Repeat("0123456789", 30000)
	c.Stdout("before", long, "between", long[:64<<10], long[:64<<10+1], "after")
	a.waitTexts(c.ID, "", 6)
	checkSequence(t, "lines", []string{"before", long[:64<<10], "between", long[:64<<10], long[:64<<10], "after"}, a.texts(c.ID, ""))
	var cut []string
	for _, r := range a.waitRecords(6) {
		cut = append(cut, r.Fields["partial"])
	}
	if want := []string{"", "true", "", "", "true", ""}; !slices.Equal(cut, want) {
		t.Errorf("partial is %q, not %q", cut, want)
	}
	if n := a.counted("truncated_lines_total"); n != 2 {
		t.Errorf("%v truncated lines counted", n)
	}
}

// Engines get up- and downgraded under a running agent.
func TestVersionIsNegotiatedAtEachConnect(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithLiveRestore())
	a := startAgent(t, e.Host(), nil)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	for i, api := range []string{"1.51", "1.41", "1.54", "1.43", "1.56"} {
		e.Down()
		e.SetAPIVersion(api, "")
		must(t, e.Up())
		c.Stdout(sequence("out", i*100, (i+1)*100)...)
		a.waitRecords((i + 1) * 100)
	}
	checkSequence(t, "lines", sequence("out", 0, 500), a.texts(c.ID, ""))
	for _, api := range []string{"api=1.41", "api=1.43", "api=1.51"} {
		if !strings.Contains(a.log.String(), api) {
			t.Errorf("never spoke %s", api)
		}
	}
}

// What an Engine of 20.10 sends twice at a log rotation is dropped, also when
// it is a run of equal lines or the partials of a long one.
func TestReplayedRecordsAreDropped(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithAPIVersion("1.41", ""))
	a := startAgent(t, e.Host(), map[string]string{"Reader": "follow"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	long := strings.Repeat("x", 5*16384)
	var want []string
	for i := range 20 {
		lines := append(sequence("out", i*10, (i+1)*10), "same", "same", long, "same")
		want = append(want, lines...)
		c.Stdout(lines...)
		a.waitRecords(len(want))
		must(t, c.WaitSent(testContext(t)))
		c.ReplayFollowers(7 * i)
	}
	c.Stdout("last")
	a.waitRecords(len(want) + 1)
	checkSequence(t, "lines", append(want, "last"), a.texts(c.ID, ""))
	if n := a.counted("doubles_dropped_total"); n == 0 {
		t.Error("no double was counted")
	}
}
