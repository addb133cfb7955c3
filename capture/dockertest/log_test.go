package dockertest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestLinesAreSplitAt16K(t *testing.T) {
	const k = 16384
	for _, tc := range []struct {
		length int // without the newline
		want   []int
	}{
		{0, []int{1}},
		{k - 1, []int{k}},
		{k, []int{k, 1}},
		{k + 1, []int{k, 2}},
		{2 * k, []int{k, k, 1}},
		{5*k - 1, []int{k, k, k, k, k}},
	} {
		for _, piece := range []int{1 << 30, 1000, 1} {
			tick := time.Unix(0, 0)
			e := dockertest.Start(t, dockertest.WithClock(func() time.Time { tick = tick.Add(1); return tick }))
			c := e.Run(dockertest.Container{})
			line := []byte(strings.Repeat("x", tc.length) + "\n")
			for rest := line; len(rest) > 0; {
				n := min(piece, len(rest))
				c.Write(dockertest.Stdout, rest[:n])
				rest = rest[n:]
			}
			fs := readLog(t, dial(t, e), c.ID, container.LogsOptions{Timestamps: true})
			var got []int
			var joined strings.Builder
			for _, f := range fs {
				stamp, text, _ := strings.Cut(f.text, " ")
				equal(t, "timestamp of every chunk", stamp, fs[0].text[:30])
				got = append(got, len(text))
				joined.WriteString(text)
			}
			if len(got) != len(tc.want) || joined.String() != string(line) {
				t.Fatalf("%d bytes in pieces of %d: %v, want %v", tc.length, piece, got, tc.want)
			}
			for i := range got {
				equal(t, "chunk", got[i], tc.want[i])
			}
		}
	}
}

func TestPartialsOfTwoStdStreamsInterleave(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	out, errs := strings.Repeat("o", 20000), strings.Repeat("e", 20000)
	c.Write(dockertest.Stdout, []byte(out))
	c.Write(dockertest.Stderr, []byte(errs))
	c.Stdout("")
	c.Die(1) // stores the rest of stderr
	fs := readLog(t, dial(t, e), c.ID, container.LogsOptions{})
	want := []frame{{1, out[:16384]}, {2, errs[:16384]}, {1, out[16384:] + "\n"}, {2, errs[16384:]}}
	equal(t, "frames", len(fs), len(want))
	for i := range min(len(fs), len(want)) {
		equal(t, "frame", fs[i], want[i])
	}
}

func TestTailThenSince(t *testing.T) {
	for _, tc := range []struct {
		api, tail        string
		since, until     time.Time
		stored, followed string
	}{
		{"1.43", "", time.Time{}, time.Time{}, "a5|b9|a3|a7", "a2|a8"},
		{"1.43", "0", time.Time{}, time.Time{}, "", "a2|a8"},
		{"1.43", "2", time.Time{}, time.Time{}, "a3|a7", "a2|a8"},
		{"1.43", "-1", time.Time{}, time.Time{}, "a5|b9|a3|a7", "a2|a8"},
		{"1.43", "all", at(9, 0), time.Time{}, "b9|a3|a7", "a2|a8"}, // a gate: all behind the first passes
		{"1.43", "", at(9, 1), time.Time{}, "", ""},
		{"1.43", "2", at(5, 0), time.Time{}, "a7", "a2|a8"}, // tail counts first
		{"1.41", "", at(5, 0), time.Time{}, "a5|b9|a7", "a8"},
		{"1.41", "2", at(5, 0), time.Time{}, "a7", "a8"},
		{"1.41", "all", at(9, 0), time.Time{}, "b9", ""},
		{"1.51", "all", time.Time{}, at(8, 0), "a5", ""}, // ends at the first behind until
	} {
		clk := newClock(at(0, 0))
		e := dockertest.Start(t, dockertest.WithAPIVersion(tc.api, ""), dockertest.WithClock(clk.read))
		cli := dial(t, e)
		c := e.Run(dockertest.Container{})
		c.WriteAt(at(5, 0), dockertest.Stdout, []byte("a5\n"))
		clk.set(at(9, 0))
		c.Stderr("b9")
		clk.set(at(3, 0)) // a step back
		c.Stdout("a3")
		clk.set(at(7, 0))
		c.Stdout("a7")
		opts := container.LogsOptions{Tail: tc.tail}
		if !tc.since.IsZero() {
			opts.Since = stamp(tc.since)
		}
		if !tc.until.IsZero() {
			opts.Until = stamp(tc.until)
		}
		name := tc.api + " tail=" + tc.tail + " since=" + opts.Since + " until=" + opts.Until
		equal(t, name, strings.ReplaceAll(texts(readLog(t, cli, c.ID, opts)), "$", ""), tc.stored)
		if opts.Until != "" {
			continue
		}
		opts.Follow = true
		body := openLog(t, cli, c.ID, opts)
		must(t, c.WaitSent(within(t)))
		c.WriteAt(at(2, 0), dockertest.Stdout, []byte("a2\n"))
		c.WriteAt(at(8, 0), dockertest.Stdout, []byte("a8\n"))
		c.Stop()
		got := strings.ReplaceAll(texts(readFrames(t, body)), "$", "")
		equal(t, name+" follow", got, strings.Trim(tc.stored+"|"+tc.followed, "|"))
	}
}

func TestTimestamps(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	for _, ts := range []time.Time{at(0, 0), at(0, 1), at(0, 120_000_000), at(-1, 999_999_999), time.Unix(-1, 5)} {
		c.WriteAt(ts, dockertest.Stdout, []byte("x\n"))
	}
	equal(t, "log", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{Timestamps: true})),
		"2023-11-14T22:13:20.000000000Z x$|2023-11-14T22:13:20.000000001Z x$|2023-11-14T22:13:20.120000000Z x$|2023-11-14T22:13:19.999999999Z x$|1969-12-31T23:59:59.000000005Z x$")
}

func TestForgetAndRetention(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithRetention(3))
	cli := dial(t, e)
	c := e.Run(dockertest.Container{})
	c.Stdout("1", "2", "3", "4")
	equal(t, "retention", texts(readLog(t, cli, c.ID, container.LogsOptions{})), "2$|3$|4$")
	c.Forget(2)
	equal(t, "forget", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "5"})), "4$")
	equal(t, "records", c.Records(), 4)
}

func TestLocalDriverOf2010LosesNewlines(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Driver: "local"})
	long := strings.Repeat("x", 16384)
	c.Stdout("bytes \xff stay", long+"end")
	equal(t, "28", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), "bytes \xff stay$|"+long+"|end$")
	e.SetAPIVersion("1.41", "")
	// That of a line which it has in chunks, and no other.
	equal(t, "20.10", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), "bytes \xff stay$|"+long+"|end")
}
