package e2e

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
)

// benchHost is the host with an output that only counts.
type benchHost struct {
	b     *testing.B
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func startBenchHost(b *testing.B, flags []string, options ...string) *benchHost {
	h := &benchHost{b: b, cmd: exec.Command(hostPath, append(append([]string{"-o", "count"}, flags...), append([]string{pluginPath, "-i"}, options...)...)...)}
	stderr, err := h.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if h.stdin, err = h.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	h.lines = bufio.NewScanner(stderr)
	h.await("[host] ok ready")
	return h
}

func (h *benchHost) await(prefix string) {
	for h.lines.Scan() {
		if strings.HasPrefix(h.lines.Text(), prefix) {
			return
		}
	}
	h.b.Fatalf("the host never said %q", prefix)
}

func (h *benchHost) do(command string) {
	if _, err := fmt.Fprintln(h.stdin, command); err != nil {
		h.b.Fatal(err)
	}
	h.await("[host] ok " + strings.Fields(command)[0])
}

func (h *benchHost) stop() {
	_, _ = fmt.Fprintln(h.stdin, "exit")
	for h.lines.Scan() {
	}
	if err := h.cmd.Wait(); err != nil {
		h.b.Error(err)
	}
}

// cpu is the process's CPU time so far.
func (h *benchHost) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		h.b.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		h.b.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func median[T cmp.Ordered](v []T) T {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkFollowRate compares the rate at which a follow stream delivers
// through the host with that at which the Engine's client reads the same log
// and discards it: alternating, medians of five.
func BenchmarkFollowRate(b *testing.B) {
	const (
		lines     = 1_000_000
		lineSize  = 130
		frameHead = 8 + 31 // header, timestamp and blank
	)
	for _, e := range enginetest.All(b) {
		b.Run("Engine "+e.Version, func(b *testing.B) {
			name := unique("rate")
			c := e.Run(b, enginetest.Options{Name: name, Args: []string{fmt.Sprint("-lines=", lines), fmt.Sprint("-size=", lineSize-1), "-hold"}})
			awaitWritten(b, c, lines)
			if n := len(c.Logs()[0].Text) + 1; n != lineSize {
				b.Fatalf("a line has %d bytes", n)
			}
			var discard, deliver []float64
			for b.Loop() {
				for range 5 {
					began := time.Now()
					body, err := e.ContainerLogs(b.Context(), c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: true, Tail: "all"})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.CopyN(io.Discard, body, lines*(frameHead+lineSize)); err != nil {
						b.Fatal(err)
					}
					_ = body.Close()
					discard = append(discard, lines/time.Since(began).Seconds())

					// What is flushed is what was delivered.
					h := startBenchHost(b, []string{"--flush-ms", "20"}, "Docker_Host="+e.Host, "Include=name="+name, "Start_From=beginning", "Reader=follow")
					began = time.Now()
					h.do(fmt.Sprint("wait ", lines))
					deliver = append(deliver, lines/time.Since(began).Seconds())
					h.stop()
				}
			}
			b.ReportMetric(median(discard), "discard-lines/s")
			b.ReportMetric(median(deliver), "deliver-lines/s")
			b.ReportMetric(median(deliver)/median(discard), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkIdle is the CPU that the whole process takes while 100 containers
// write nothing.
func BenchmarkIdle(b *testing.B) {
	e := dockertest.Start(b)
	for range 100 {
		e.Run(dockertest.Container{})
	}
	h := startBenchHost(b, nil, "Docker_Host="+e.Host(), "Reader=follow")
	defer h.stop()
	if err := e.WaitFollowers(b.Context(), 100); err != nil {
		b.Fatal(err)
	}
	h.idle()
}

// idle measures once the start has passed, to which the first rotation of each
// stream belongs. Those that are silent are rotated every five minutes from then on.
func (h *benchHost) idle() {
	const span = time.Minute
	time.Sleep(45 * time.Second)
	for h.b.Loop() {
		before := h.cpu()
		time.Sleep(span)
		h.b.ReportMetric(100*float64(h.cpu()-before)/float64(span), "%core")
	}
	h.b.ReportMetric(0, "ns/op")
}
