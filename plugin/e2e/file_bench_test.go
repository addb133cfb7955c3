package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/debian"
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
func toNull(b *testing.B, fluentBit string, lines int, input string, args ...string) cost {
	addr := freeAddress(b)
	_, port, _ := strings.Cut(addr, ":")
	dir := b.TempDir()
	parsers := "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L\n    Time_Keep On\n"
	config := fmt.Sprintf("[SERVICE]\n    Flush 0.2\n    Log_Level error\n    Parsers_File %s/parsers.conf\n    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %s\n[INPUT]\n%s[OUTPUT]\n    Name null\n    Match *\n",
		dir, port, input)
	for name, text := range map[string]string{"parsers.conf": parsers, "fluent-bit.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(fluentBit, append(args, "-q", "-c", filepath.Join(dir, "fluent-bit.conf"))...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	const limit = 5 * time.Minute
	for time.Since(began) < limit {
		time.Sleep(20 * time.Millisecond)
		if passed(addr) >= lines {
			return cost{cpuSeconds(b, cmd.Process.Pid), time.Since(began).Seconds()}
		}
	}
	b.Fatalf("only %d of %d lines after %v", passed(addr), lines, limit)
	return cost{}
}

// passed is how many records Fluent Bit's null output has seen.
func passed(addr string) int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + addr + "/api/v1/metrics")
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

// warm reads a file, so that it is in the page cache. Fluent Bit's tail drops from there what it has read, unless
// File_Cache_Advise is off, and who comes next would pay for that.
func warm(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := io.Copy(io.Discard, f); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFileRate compares the whole process that reads a json-file with
// Fluent Bit's own tail input and its docker parser, which adds no metadata:
// tail as it comes, and with the settings that make it fastest. The three
// alternate, each reads the file from the page cache; medians of five rounds.
// What positions on disk cost is the ratio of the same with DB.
// Without a Fluent Bit it is the host alone.
func BenchmarkFileRate(b *testing.B) {
	const lines = 1_000_000
	e := dockertest.Start(b)
	c := logFileOf(b, e, lines)
	fluentBit, ok := debian.FluentBit()
	tail := fmt.Sprintf("    Name tail\n    Path %s\n    Parser docker\n    Read_from_Head On\n", c.LogPath())
	rivals := []struct {
		name  string
		input string
	}{
		{"tail", tail},
		{"best-tail", tail + "    Buffer_Chunk_Size 1M\n    Buffer_Max_Size 4M\n    File_Cache_Advise Off\n"},
	}
	own := fmt.Sprintf("    Name docker_logs\n    Docker_Host %s\n    Reader file\n    Start_From beginning\n", e.Host())
	ours := func() cost { return toNull(b, fluentBit, lines, own, "-e", pluginPath) }
	if !ok {
		rivals = nil
		ours = func() cost {
			began := time.Now()
			h := startBenchHost(b, nil, "Docker_Host="+e.Host(), "Reader=file", "Start_From=beginning")
			defer h.exit()
			h.do(fmt.Sprint("wait ", lines))
			return cost{h.cpu().Seconds(), time.Since(began).Seconds()}
		}
	}
	seen := map[string][]float64{} // by metric
	add := func(name string, c cost) {
		seen[name+"cpu-s"] = append(seen[name+"cpu-s"], c.cpu)
		seen[name+"wall-s"] = append(seen[name+"wall-s"], c.wall)
	}
	for b.Loop() {
		for range 5 {
			warm(b, c.LogPath())
			o := ours()
			add("", o)
			for _, r := range rivals {
				warm(b, c.LogPath())
				t := toNull(b, fluentBit, lines, r.input)
				add(r.name+"-", t)
				seen[r.name+"-ratio"] = append(seen[r.name+"-ratio"], o.cpu/t.cpu)
				b.Logf("cpu %.2f s, of %s %.2f s; wall %.2f s and %.2f s", o.cpu, r.name, t.cpu, o.wall, t.wall)
			}
			if ok {
				warm(b, c.LogPath())
				kept := toNull(b, fluentBit, lines, own+"    DB "+filepath.Join(b.TempDir(), "db.json")+"\n", "-e", pluginPath)
				seen["with-db-ratio"] = append(seen["with-db-ratio"], kept.cpu/o.cpu)
			}
		}
	}
	for name, figures := range seen {
		b.ReportMetric(median(figures), name)
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
