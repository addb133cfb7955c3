package e2e

import (
	"bytes"
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
type cost struct {
	cpu, wall float64 // seconds
	peak      float64 // MB of memory
}

// peakMB is the most memory that a process had so far.
func peakMB(b *testing.B, pid int) (mb float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, at, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(at, &mb); err != nil {
		b.Fatal(err)
	}
	return mb / 1024
}

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

// nullFluentBit is a Fluent Bit with one input, into its null output.
type nullFluentBit struct {
	b     *testing.B
	addr  string // of its metrics
	cmd   *exec.Cmd
	began time.Time
}

func startNull(b *testing.B, fluentBit, flush, input string, args ...string) *nullFluentBit {
	f := &nullFluentBit{b: b, addr: freeAddress(b)}
	_, port, _ := strings.Cut(f.addr, ":")
	dir := b.TempDir()
	parsers := "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L\n    Time_Keep On\n"
	config := fmt.Sprintf("[SERVICE]\n    Flush %s\n    Log_Level error\n    Parsers_File %s/parsers.conf\n    HTTP_Server On\n    HTTP_Listen 127.0.0.1\n    HTTP_Port %s\n[INPUT]\n%s[OUTPUT]\n    Name null\n    Match *\n",
		flush, dir, port, input)
	for name, text := range map[string]string{"parsers.conf": parsers, "fluent-bit.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	f.cmd = exec.Command(fluentBit, append(args, "-q", "-c", filepath.Join(dir, "fluent-bit.conf"))...)
	f.cmd.Stderr = os.Stderr
	f.began = time.Now()
	if err := f.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return f
}

func (f *nullFluentBit) stop() {
	_ = f.cmd.Process.Signal(syscall.SIGTERM)
	_ = f.cmd.Wait()
}

// await waits until the output has seen so many lines, and says what they took.
func (f *nullFluentBit) await(lines int) cost {
	const limit = 5 * time.Minute
	for time.Since(f.began) < limit {
		time.Sleep(20 * time.Millisecond)
		if passed(f.addr) >= lines {
			pid := f.cmd.Process.Pid
			return cost{cpuSeconds(f.b, pid), time.Since(f.began).Seconds(), peakMB(f.b, pid)}
		}
	}
	f.b.Fatalf("only %d of %d lines after %v", passed(f.addr), lines, limit)
	return cost{}
}

// toNull runs Fluent Bit until its output has seen all lines.
func toNull(b *testing.B, fluentBit string, lines int, input string, args ...string) cost {
	f := startNull(b, fluentBit, "0.2", input, args...)
	defer f.stop()
	return f.await(lines)
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

// kindOfLine is what lines of 130 bytes are like.
type kindOfLine struct{ name, text, attrs string }

var kindsOfLine = []kindOfLine{
	{"plain", "GET /api/v1/items/4711 200 took 3.2ms", ""},
	{"json", `{"level":"info","ts":"2026-11-26T14:00:00Z","msg":"GET /api/v1/items/4711 200","took":"3.2ms","user":"4711"}`, ""},
	{"attrs", "GET /api/v1/items/4711 200 took 3.2ms", `{"com.docker.compose.project":"shop","com.docker.compose.service":"web","tag":"shop-web-1"}`},
}

// logFileOf makes a container whose log file holds so many lines.
func logFileOf(b *testing.B, e *dockertest.Engine, lines int, kind kindOfLine) *dockertest.Ctr {
	c := e.Run(dockertest.Container{Name: kind.name, LogDir: b.TempDir()})
	c.Flood(dockertest.Stdout, lines, func(dst []byte, i int) []byte {
		return fmt.Appendf(dst, "%08d %-120s", i, kind.text)
	})
	if kind.attrs != "" {
		log, err := os.ReadFile(c.LogPath())
		if err != nil {
			b.Fatal(err)
		}
		log = bytes.ReplaceAll(log, []byte(`,"time":`), []byte(`,"attrs":`+kind.attrs+`,"time":`))
		if err := os.WriteFile(c.LogPath(), log, 0o600); err != nil {
			b.Fatal(err)
		}
	}
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
	for _, kind := range kindsOfLine {
		b.Run(kind.name, func(b *testing.B) { fileRate(b, kind) })
	}
}

func fileRate(b *testing.B, kind kindOfLine) {
	const lines = 1_000_000
	e := dockertest.Start(b)
	c := logFileOf(b, e, lines, kind)
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
			return cost{h.cpu().Seconds(), time.Since(began).Seconds(), peakMB(b, h.cmd.Process.Pid)}
		}
	}
	seen := map[string][]float64{} // by metric
	add := func(name string, c cost) {
		seen[name+"cpu-s"] = append(seen[name+"cpu-s"], c.cpu)
		seen[name+"wall-s"] = append(seen[name+"wall-s"], c.wall)
		seen[name+"peak-MB"] = append(seen[name+"peak-MB"], c.peak)
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
