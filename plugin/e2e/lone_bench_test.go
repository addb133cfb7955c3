package e2e

import (
	"fmt"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/debian"
)

// writeLone has each of the containers write rate lines a second, one at a time and
// evenly spread, for so long. It returns how many lines those are.
func writeLone(containers []*dockertest.Ctr, rate int, d time.Duration) (lines int) {
	const line = "GET /api/v1/items/4711 200 took 3.2ms, and some more of what such lines have in them, up to 130 bytes of them: request=00112233445566"
	gap := time.Second / time.Duration(rate*len(containers))
	began := time.Now()
	for at := time.Duration(0); at < d; at += gap {
		time.Sleep(at - time.Since(began))
		containers[lines%len(containers)].Stdout(line)
		lines++
	}
	return lines
}

// BenchmarkLoneLines compares the CPU of the whole process, while many containers
// write a line now and then each, with that of Fluent Bit's own tail input and its
// docker parser on the same files. The two alternate; medians of three rounds.
func BenchmarkLoneLines(b *testing.B) {
	const during = 15 * time.Second
	fluentBit, ok := debian.FluentBit()
	if !ok {
		b.Skip("there is no fluent-bit to compare with")
	}
	for _, load := range []struct{ containers, rate int }{{60, 4}, {5, 400}, {20, 400}, {500, 2}} {
		b.Run(fmt.Sprintf("%dx%d", load.containers, load.rate), func(b *testing.B) {
			e := dockertest.Start(b)
			dir := b.TempDir()
			var containers []*dockertest.Ctr
			for i := range load.containers {
				c := e.Run(dockertest.Container{Name: fmt.Sprint("lone-", i), LogDir: dir})
				c.Stdout("first")
				containers = append(containers, c)
			}
			lines := load.containers
			measure := func(input string, args ...string) float64 {
				f := startNull(b, fluentBit, "1", input, args...)
				defer f.stop()
				f.await(lines)
				before := cpuSeconds(b, f.cmd.Process.Pid)
				lines += writeLone(containers, load.rate, during)
				return f.await(lines).cpu - before
			}
			var ours, tails, ratios []float64
			for b.Loop() {
				for range 3 {
					o := measure(fmt.Sprintf("    Name docker_logs\n    Docker_Host %s\n    Reader file\n    Start_From beginning\n", e.Host()), "-e", pluginPath)
					t := measure(fmt.Sprintf("    Name tail\n    Path %s/*/*-json.log\n    Parser docker\n    Read_from_Head On\n", dir))
					b.Logf("cpu %.2f s, of tail %.2f s", o, t)
					ours, tails, ratios = append(ours, o), append(tails, t), append(ratios, o/t)
				}
			}
			b.ReportMetric(median(ours), "cpu-s")
			b.ReportMetric(median(tails), "tail-cpu-s")
			b.ReportMetric(median(ratios), "tail-ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
