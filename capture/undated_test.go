package capture_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/docker/enginetest"
)

// A record that cannot be dated is a line like any other: it comes once, with
// the time of the line before, and is counted; so do those around it, across
// stream rotations and a pause.
func testRecordsThatCannotBeDated(t *testing.T, r readerCase) {
	const away = position.FirstTail
	for name, stamps := range map[string][]string{
		"each once":  {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2300-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"},
		"many equal": slices.Repeat([]string{"0001-01-01T00:00:00Z"}, 200),
	} {
		t.Run(name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := r.agent(t, e, nil)
			a.connected()
			c := r.run(t, e, dockertest.Container{Name: "web"})
			at := time.Now().Add(-time.Minute).UTC()
			var want []string
			say := func(lines ...string) {
				want = append(want, lines...)
				a.waitTexts(c.ID, "", len(want))
			}
			for round := range 3 {
				a.resumeReadingAfter(round)
				r.reading(t, a, c)
				before := fmt.Sprint("before ", round)
				c.WriteAt(at, dockertest.Stdout, []byte(before+"\n"))
				say(before)
				for i, stamp := range stamps {
					text := fmt.Sprint("odd ", i%len(stamps)/2) // some are equal
					c.Stamped(stamp, dockertest.Stdout, text)
					want = append(want, text)
				}
				say()
				a.pauseReading()
				for i := range away { // further back than the second look goes, and equal to what is before that
					text := fmt.Sprint("while paused ", i/2)
					c.Stamped(stamps[0], dockertest.Stdout, text)
					want = append(want, text)
				}
			}
			a.resumeReading()
			c.Stdout("after")
			say("after")
			checkSequence(t, "lines", want, a.texts(c.ID, ""))
			for _, g := range a.waitRecords(0) {
				odd := g.Fields["log"] != "after"
				if when := time.Unix(int64(g.Sec), int64(g.Nanos)); odd && !when.Equal(at) {
					t.Errorf("%q is from %v, not %v", g.Fields["log"], when, at)
				}
			}
			if n := a.counted("undated_lines_total"); n != float64(3*(len(stamps)+away)) {
				t.Errorf("%v undated lines are counted", n)
			}
			if n := a.col.Totals().Gaps; n != 0 {
				t.Errorf("%v gaps", n)
			}
			if n := strings.Count(a.log.String(), "lines have no time"); n != 1 {
				t.Errorf("it is said %d times", n)
			}
		})
	}
}

// Equal lines without a time that are all that came tell nothing of a place by how
// many of them a part of the log begins with.
func testEqualRecordsThatCannotBeDated(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, nil)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	r.reading(t, a, c)
	var want []string
	write := func(n int) {
		for range n {
			c.Stamped("0001-01-01T00:00:00Z", dockertest.Stdout, "beat")
			want = append(want, "beat")
		}
	}
	write(4)
	a.waitTexts(c.ID, "", len(want))
	a.pauseReading()
	write(100) // more than are looked at first
	a.resumeReading()
	c.Stdout("after")
	want = append(want, "after")
	a.waitFor("the last line", func() bool { return slices.Contains(a.texts(c.ID, ""), "after") })
	checkSequence(t, "lines", want, a.texts(c.ID, ""))
	a.noGap()
}

// Any form of RFC 3339 is a time.
func testTimesOfEveryForm(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	a := r.agent(t, e, nil)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	stamps := []string{"2026-11-25T17:58:03Z", "2026-11-25T17:58:03Z", "2026-11-25T17:58:03.5+01:00", "2026-11-25T17:58:03-07:30", "2026-11-25t17:58:03.123456789z"}
	for i, stamp := range stamps {
		c.Stamped(stamp, dockertest.Stderr, fmt.Sprint("line ", i))
	}
	for i, g := range a.waitRecords(len(stamps)) {
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(stamps[i]))
		must(t, err)
		if when := time.Unix(int64(g.Sec), int64(g.Nanos)); !when.Equal(want) || g.Fields["log"] != fmt.Sprint("line ", i) {
			t.Errorf("%q is from %v, not %v", g.Fields["log"], when, want)
		}
	}
	if n := a.counted("undated_lines_total"); n != 0 {
		t.Errorf("%v undated lines are counted", n)
	}
}

// resumeReadingAfter starts another run of the Collector, but not before the
// first round.
func (a *agent) resumeReadingAfter(round int) {
	if round > 0 {
		a.resumeReading()
	}
}

// What the Engine sends that is no record of the log is left out, whatever it
// is: a stream is never stopped by it for ever.
func TestWhatIsNoRecordStopsNoStream(t *testing.T) {
	header := func(std byte, size uint32) []byte {
		return []byte{std, 0, 0, 0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
	}
	for name, raw := range map[string][]byte{
		"garbage":              []byte("<html>502 Bad Gateway</html>"),
		"a header of 4 GB":     dockertest.HugeHeader(),
		"an empty frame":       header(1, 0),
		"a frame of type 9":    append(header(9, 3), "abc"...),
		"a frame of two MB":    append(header(2, 2<<20), make([]byte, 2<<20)...),
		"a frame without time": append(header(1, 4), "text"...),
	} {
		for _, r := range []readerCase{{name: readerFollow}, {name: readerPoll}} {
			t.Run(name+" "+r.name, func(t *testing.T) {
				e := dockertest.Start(t)
				a := r.agent(t, e, map[string]string{"Start_From": "beginning"})
				a.connected()
				c := e.Run(dockertest.Container{Name: "web"})
				c.Stdout("before")
				c.Raw(raw)
				c.Stdout(sequence("out", 0, 100)...)
				want := append([]string{"before"}, sequence("out", 0, 100)...)
				if strings.Contains(name, "without time") {
					want = slices.Insert(want, 1, "text")
				}
				a.waitRecords(len(want))
				a.pauseReading()
				a.resumeReading()
				c.Stdout("after")
				a.waitRecords(len(want) + 1)
				checkSequence(t, "lines", append(want, "after"), a.texts(c.ID, ""))
				counted := a.counted("damaged_records_total") + a.counted("undated_lines_total")
				if gaps := a.col.Totals().Gaps; counted == 0 || gaps != 0 {
					t.Errorf("%v counted, %v gaps", counted, gaps)
				}
			})
		}
	}
}

// A real Engine sends what another program wrote into a log file as it finds
// it: year 1 for no time, the zone as it stands there.
func TestEngineRecordsThatCannotBeDated(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("log files belong to root")
	}
	times := []string{`,"time":"0001-01-01T00:00:00Z"`, `,"time":"1969-12-31T23:59:59.5Z"`, `,"time":"2300-01-01T00:00:00Z"`, "", // undated
		`,"time":"2026-11-25T01:00:02.5+08:00"`, `,"time":"2026-11-25T01:00:02Z"`}
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, reader := range []string{readerFollow, readerPoll, readerFile} {
			t.Run(reader, func(t *testing.T) {
				name := fmt.Sprintf("undated-%d", time.Now().UnixNano())
				a := startAgent(t, e.Host, only(name, map[string]string{"Reader": reader, "Poll_Min": "100ms", "Poll_Max": "500ms", "Rotate_Interval": "1s"}))
				a.connected()
				c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-lines", "1"}})
				a.waitTexts(c.ID, "", 1)
				c.Wait()
				// Engine 29 reads as many bytes as it has written itself, but for those
				// that it finds at the start.
				info, err := e.ContainerInspect(t.Context(), c.ID)
				must(t, err)
				f, err := os.OpenFile(info.LogPath, os.O_WRONLY|os.O_APPEND, 0)
				must(t, err)
				for i, field := range times {
					_, err := fmt.Fprintf(f, `{"log":"odd %d\n","stream":"stderr"%s}`+"\n", i, field)
					must(t, err)
				}
				must(t, f.Close())
				c.Start()
				a.waitRecords(2 + len(times))
				want := slices.Insert(sequence("odd", 0, len(times)), 0, "run stdout 1 ")
				checkSequence(t, "lines", append(want, "run stdout 1 "), a.texts(c.ID, ""))
				if n := a.counted("undated_lines_total"); n != 4 {
					t.Errorf("%v undated lines are counted", n)
				}
				for _, g := range a.waitRecords(0) {
					if at := time.Unix(int64(g.Sec), 0); at.Year() < 2026 || at.Year() > 2105 {
						t.Errorf("%q is from %v", g.Fields["log"], at)
					}
				}
			})
		}
	})
}
