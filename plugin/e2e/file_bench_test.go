package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// cost is what a process took for a piece of work.
type cost struct{ cpu, wall float64 } // seconds

func cpuSeconds(b *testing.B, pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	var user, system float64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	return (user + system) / 100
}

// toNull runs Fluent Bit with an input into its null output until that has
// seen all lines.
func toNull(b *testing.B, lines int, input string, args ...string) cost {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	dir := b.TempDir()
	parsers := "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L\n    Time_Keep On\n"
	config := fmt.Sprintf("[SERVICE]\n    Flush 0.2\n    Log_Level error\n    Parsers_File %s/parsers.conf\n    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %d\n[INPUT]\n%s[OUTPUT]\n    Name null\n    Match *\n",
		dir, port, input)
	for name, text := range map[string]string{"parsers.conf": parsers, "fluent-bit.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command("fluent-bit", append(args, "-q", "-c", filepath.Join(dir, "fluent-bit.conf"))...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	for time.Since(began) < time.Minute {
		time.Sleep(20 * time.Millisecond)
		if passed(port) >= lines {
			return cost{cpuSeconds(b, cmd.Process.Pid), time.Since(began).Seconds()}
		}
	}
	b.Fatalf("only %d of %d lines after a minute", passed(port), lines)
	return cost{}
}

// passed is how many records Fluent Bit's null output has seen.
func passed(port int) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/api/v1/metrics", port))
	if err != nil {
		return 0
	}
	defer func() { _ = r.Body.Close() }()
	var m struct {
		Output map[string]struct {
			Records int `json:"proc_records"`
		} `json:"output"`
	}
	if json.NewDecoder(r.Body).Decode(&m) != nil {
		return 0
	}
	return m.Output["null.0"].Records
}

// logFileOf makes a container whose log file holds so many lines of 130 bytes.
func logFileOf(b *testing.B, e *dockertest.Engine, lines int) *dockertest.Ctr {
	c := e.Run(dockertest.Container{Name: "web", LogDir: b.TempDir()})
	c.Flood(dockertest.Stdout, lines, func(dst []byte, i int) []byte {
		return fmt.Appendf(dst, "%08d %-120s", i, "GET /api/v1/items/4711 200 took 3.2ms")
	})
	return c
}

// BenchmarkFileRate compares the whole process that reads a json-file with
// Fluent Bit's own tail input and its docker parser, which adds no metadata:
// alternating, medians of five pairs. Without a Fluent Bit it is the host
// alone.
func BenchmarkFileRate(b *testing.B) {
	const lines = 1_000_000
	e := dockertest.Start(b)
	c := logFileOf(b, e, lines)
	ours := func() cost {
		return toNull(b, lines, fmt.Sprintf("    Name docker_logs\n    Docker_Host %s\n    Reader file\n    Start_From beginning\n", e.Host()), "-e", pluginPath)
	}
	tail := func() cost {
		return toNull(b, lines, fmt.Sprintf("    Name tail\n    Path %s\n    Parser docker\n    Read_from_Head On\n", c.LogPath()))
	}
	if _, err := exec.LookPath("fluent-bit"); err != nil {
		tail = nil
		ours = func() cost {
			began := time.Now()
			h := startBenchHost(b, nil, "Docker_Host="+e.Host(), "Reader=file", "Start_From=beginning")
			defer h.exit()
			h.do(fmt.Sprint("wait ", lines))
			return cost{h.cpu().Seconds(), time.Since(began).Seconds()}
		}
	}
	var cpu, wall, tailCPU, tailWall, ratio []float64
	for b.Loop() {
		for range 5 {
			o := ours()
			cpu, wall = append(cpu, o.cpu), append(wall, o.wall)
			if tail != nil {
				t := tail()
				tailCPU, tailWall, ratio = append(tailCPU, t.cpu), append(tailWall, t.wall), append(ratio, o.cpu/t.cpu)
				b.Logf("cpu %.2f s, tail %.2f s; wall %.2f s, tail %.2f s", o.cpu, t.cpu, o.wall, t.wall)
			}
		}
	}
	b.ReportMetric(median(cpu), "cpu-s")
	b.ReportMetric(median(wall), "wall-s")
	if tail != nil {
		b.ReportMetric(median(tailCPU), "tail-cpu-s")
		b.ReportMetric(median(tailWall), "tail-wall-s")
		b.ReportMetric(median(ratio), "cpu-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// exit has the host stop in order.
func (h *benchHost) exit() {
	if _, err := fmt.Fprintln(h.stdin, "exit"); err != nil {
		h.b.Error(err)
	}
	h.stop()
}

// BenchmarkIdleFiles is the CPU that the whole process takes while 500 log
// files are open and nothing is written.
func BenchmarkIdleFiles(b *testing.B) {
	e := dockertest.Start(b)
	dir := b.TempDir()
	for i := range 500 {
		e.Run(dockertest.Container{Name: fmt.Sprint("idle-", i), LogDir: dir}).Stdout("line")
	}
	h := startBenchHost(b, nil, "Docker_Host="+e.Host(), "Reader=file", "Start_From=beginning")
	defer h.exit()
	h.do("wait 500")
	h.idle()
}
