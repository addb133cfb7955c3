package dockertest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture/dockertest"
)

// Engine 20.10 with four files of a compressed log and somebody who has it open, as measured: after one log rotation the second-oldest file is
// shown twice and the newest rotated one not at all, after each other one more is missing. Later Engines show what there is.
func TestHeldFiles(t *testing.T) {
	for _, tc := range []struct{ api, held string }{
		{"1.41", "0-9 0-29 40-49"}, {"1.51", "0-49"},
	} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(tc.api, ""))
		cli := dial(t, e)
		// A record takes 100 bytes, so each file has ten.
		c := e.Run(dockertest.Container{Rotates: true, MaxSize: 1000, MaxFile: 5, Compress: true})
		next := 0
		file := func() {
			for range 10 {
				c.WriteAt(at(int64(next), 0), dockertest.Stdout, fmt.Appendf(nil, "%03d%s\n", next, strings.Repeat("x", 41)))
				next++
			}
		}
		for range 4 {
			file()
		}
		whole := runs(readLog(t, cli, c.ID, container.LogsOptions{}))
		equal(t, tc.api+" before", whole, "0-39")
		release := c.HoldFiles()
		file()
		equal(t, tc.api+" held", runs(readLog(t, cli, c.ID, container.LogsOptions{})), tc.held)
		equal(t, tc.api+" tail", runs(readLog(t, cli, c.ID, container.LogsOptions{Tail: "5"})), "45-49")
		if tc.api == "1.41" {
			equal(t, "longer tail", runs(readLog(t, cli, c.ID, container.LogsOptions{Tail: "15"})), "25-29 40-49")
		}
		release()
		equal(t, tc.api+" let go", runs(readLog(t, cli, c.ID, container.LogsOptions{})), "0-49")
	}
}

// runs are the numbers that records begin with, as ranges.
func runs(fs []frame) string {
	var out []string
	for i := 0; i < len(fs); {
		first, _ := strconv.Atoi(fs[i].text[:3])
		last := first
		for i++; i < len(fs); i++ {
			if n, _ := strconv.Atoi(fs[i].text[:3]); n != last+1 {
				break
			}
			last++
		}
		out = append(out, fmt.Sprintf("%d-%d", first, last))
	}
	return strings.Join(out, " ")
}
