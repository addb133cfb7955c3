package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// path is what lies between an append and its chunk, in Fluent Bit's YAML.
type path struct {
	name                string
	input, rest         string
	dropped, exactStops bool // every tenth line is; an orderly stop repeats nothing
}

const slowLua = "function slow(tag, ts, rec)\n local t = os.clock(); while os.clock() - t < %s do end\n return 0, ts, rec\nend\n"

var paths = []path{
	{name: "plain", exactStops: true},
	{name: "slow filter", exactStops: true, rest: `
  filters:
    - {name: lua, match: '*', script: slow.lua, call: slow}`},
	{name: "conditional routes", input: `
      routes:
        logs:
          - name: some
            condition: {rules: [{field: "$log", op: regex, value: "tenth"}]}
            to: {outputs: [other]}
          - name: rest
            condition: {default: true}
            to: {outputs: [one]}`},
	{name: "dropping processor", dropped: true, input: `
      processors:
        logs:
          - {name: grep, exclude: log tenth}`},
}

// numbered writes n lines to a container of a fake Engine, at a rate per second.
func numbered(t *testing.T, c *dockertest.Ctr, n, rate int) (written <-chan struct{}) {
	done := make(chan struct{})
	stop := make(chan struct{})
	pad := strings.Repeat("x", 100)
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i, began := 0, time.Now(); i < n; {
			for due := int(time.Since(began).Seconds() * float64(rate)); i < min(n, due); i++ {
				mark := "line"
				if i%10 == 9 {
					mark = "tenth"
				}
				c.Stdout(fmt.Sprintf("SEQ=%08d %s %s", i, mark, pad[:i%100]))
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	return done
}

var seqInText = regexp.MustCompile(`SEQ=(\d{8})`)

// counted reads how often each line is in the files, less those that a dropping processor keeps back.
func counted(t *testing.T, n int, dropped bool, texts ...[]byte) (missing, doubled int, first string) {
	t.Helper()
	seen := make([]int, n)
	for _, text := range texts {
		for _, m := range seqInText.FindAllSubmatch(text, -1) {
			i, _ := strconv.Atoi(string(m[1]))
			seen[i]++
		}
	}
	for i, k := range seen {
		switch {
		case k == 0 && (!dropped || i%10 != 9):
			missing++
			if first == "" {
				first = fmt.Sprint("the first that is missing is ", i)
			}
		case k > 1:
			doubled += k - 1
		}
	}
	return missing, doubled, first
}

// realAgent is a Fluent Bit with a configuration of its own in a directory.
type realAgent struct {
	t    *testing.T
	bin  string
	dir  string
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan error
}

func needFluentBit(t *testing.T) string {
	t.Helper()
	for _, a := range agents {
		if f, ok := a.(fluentBit); ok {
			return f.path
		}
	}
	t.Skip("no fluent-bit on the PATH")
	return ""
}

func newRealAgent(t *testing.T, yaml string, slow string) *realAgent {
	t.Helper()
	r := &realAgent{t: t, bin: needFluentBit(t), dir: t.TempDir()}
	for name, text := range map[string]string{"fluent-bit.yaml": yaml, "slow.lua": fmt.Sprintf(slowLua, slow)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *realAgent) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.bin, "-e", pluginPath, "-c", "fluent-bit.yaml")
	r.cmd.Dir = r.dir
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	done, cmd := make(chan error, 1), r.cmd
	r.done = done
	go func() { done <- cmd.Wait() }()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		select {
		case <-done:
		default:
		}
	})
}

func (r *realAgent) end(sig syscall.Signal) {
	r.t.Helper()
	_ = r.cmd.Process.Signal(sig)
	select {
	case err := <-r.done:
		r.done <- err
	case <-time.After(limit):
		r.t.Fatalf("no end within %v of %v", limit, sig)
	}
}

func (r *realAgent) files() (texts [][]byte) {
	for _, name := range []string{"one.txt", "other.txt"} {
		text, _ := os.ReadFile(filepath.Join(r.dir, name))
		texts = append(texts, text)
	}
	return texts
}

// eventually polls: files of another process announce nothing.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("not within %v: %s", within, what)
			return
		}
	}
}

func pathYAML(p path, host string) string {
	return `
service: {flush: 0.5, grace: 10, hot_reload: on, storage.path: st}
pipeline:
  inputs:
    - name: docker_logs
      docker_host: ` + host + `
      reader: follow
      tag: docker
      db: db.json
      start_from: beginning
      metrics_listen: "off"
      storage.type: filesystem` + p.input + p.rest + `
  outputs:
    - {name: file, alias: one, match: 'docker', file: one.txt}
    - {name: file, alias: other, match: 'other', file: other.txt}
`
}

// TestChunks: kills, orderly stops and hot reloads under load, with all that may lie between an append and its chunk.
// Nothing is ever missing; a kill repeats little, the others nothing where the counter is exact. STOPS=8 and
// STOPS_RATE=16000 are the full numbers.
func TestChunks(t *testing.T) {
	needFluentBit(t)
	stops, rate := times(t, "STOPS", 2), times(t, "STOPS_RATE", 2000)
	for _, p := range paths {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP} {
			t.Run(p.name+"/"+strings.ReplaceAll(sig.String(), " ", "_"), func(t *testing.T) {
				e := dockertest.Start(t)
				c := e.Run(dockertest.Container{Name: "web"})
				r := newRealAgent(t, pathYAML(p, e.Host()), "0.0003")
				n := rate * (stops + 2) * 3 / 2
				written := numbered(t, c, n, rate)
				r.start()
				for i := range stops {
					time.Sleep(1200*time.Millisecond + time.Duration(i*137)*time.Millisecond)
					if sig == syscall.SIGHUP {
						if err := r.cmd.Process.Signal(sig); err != nil {
							t.Fatal(err)
						}
						continue
					}
					r.end(sig)
					r.start()
				}
				<-written
				eventually(t, 3*limit, "every line at the output", func() bool {
					missing, _, _ := counted(t, n, p.dropped, r.files()...)
					return missing == 0
				})
				r.end(syscall.SIGTERM)
				missing, doubled, first := counted(t, n, p.dropped, r.files()...)
				t.Logf("%d x %v at %d lines/s: %d of %d lines missing, %d doubled", stops, sig, rate, missing, n, doubled)
				if missing > 0 || sig != syscall.SIGKILL && p.exactStops && doubled > 0 {
					t.Errorf("%d missing, %d doubled; %s\n%s", missing, doubled, first, strings.Join(tail(strings.Split(r.log.String(), "\n"), 40), "\n"))
				}
			})
		}
	}
}

// TestKilledInAFilter: what is counted and still in a filter is not acknowledged: a kill then loses nothing.
func TestKilledInAFilter(t *testing.T) {
	const n = 2000
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	db := filepath.Join(t.TempDir(), "positions.json")
	in := options{"Docker_Host": e.Host(), "Reader": "follow", "DB": db, "DB_Sync": "100ms", "Start_From": "beginning", "Metrics_Listen": freeAddress(t)}
	<-numbered(t, c, n, 100000)
	p := start(t, host{}, setup{inputs: []options{in}, faults: []string{"--filter-ms", "3600000"}})
	eventually(t, limit, "an append", func() bool { return metric(t, in["Metrics_Listen"], "log_capturer_appended_records_total") > 0 })
	time.Sleep(time.Second) // in which it would be acknowledged and saved
	if acked := metric(t, in["Metrics_Listen"], "log_capturer_acked_records_total"); acked != 0 {
		t.Errorf("%v records are acknowledged while the first append is in the filter", acked)
	}
	next := p.again(syscall.SIGKILL, setup{inputs: []options{in}})
	next.awaitRecords(map[string]int{c.ID: n})
	if got := len(next.stop()); got != n {
		t.Errorf("%d records, want %d", got, n)
	}
}

// TestRefused: while there is no chunk to be had nothing is acknowledged, the agent is not ready and says so; then
// everything comes, once.
func TestRefused(t *testing.T) {
	const n = 3000
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	in := options{"Docker_Host": e.Host(), "Reader": "follow", "DB": filepath.Join(t.TempDir(), "db.json"), "Start_From": "beginning", "Metrics_Listen": freeAddress(t)}
	p := start(t, host{}, setup{inputs: []options{in}})
	c.Stdout("SEQ=00000000")
	p.awaitRecords(map[string]int{c.ID: 1})
	command := func(text string) {
		if _, err := io.WriteString(p.stdin, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	command("full 1000000")
	p.awaitLog(regexp.MustCompile(`ok full 1000000`), 1)
	<-numbered(t, c, n, 20000)
	p.awaitLog(regexp.MustCompile(`Fluent Bit keeps nothing of what it is given`), 1)
	ready, why := get(t, "http://"+in["Metrics_Listen"]+"/readyz")
	if ready != http.StatusServiceUnavailable || !strings.Contains(why, "Fluent Bit keeps no records") {
		t.Errorf("/readyz says %d %s", ready, why)
	}
	eventually(t, limit, "a second attempt", func() bool {
		return p.count(regexp.MustCompile(`no available chunk`)) > 2
	})
	if acked := metric(t, in["Metrics_Listen"], "log_capturer_acked_records_total"); acked > 1 {
		t.Errorf("%v records are acknowledged, want 1", acked)
	}
	if refused := metric(t, in["Metrics_Listen"], "log_capturer_refused_records_total"); refused == 0 {
		t.Error("no refused record is counted")
	}
	command("full 0")
	p.awaitLog(regexp.MustCompile(`Fluent Bit keeps records again`), 1)
	p.awaitRecords(map[string]int{c.ID: n + 1})
	eventually(t, limit, "/readyz", func() bool {
		ready, _ := get(t, "http://"+in["Metrics_Listen"]+"/readyz")
		return ready == http.StatusOK
	})
	if got := len(p.stop()); got != n+1 {
		t.Errorf("%d records, want %d", got, n+1)
	}
}

// TestForeignCounts: a processor that drops, or routes that count twice, never stop the flow.
func TestForeignCounts(t *testing.T) {
	for name, c := range map[string]struct {
		fault []string
		part  int
	}{"drops": {[]string{"--drop-every", "2"}, 2}, "routes": {[]string{"--routes", "2"}, 1}} {
		t.Run(name, func(t *testing.T) {
			const n = 20000
			e := dockertest.Start(t)
			ctr := e.Run(dockertest.Container{Name: "web"})
			in := options{"Docker_Host": e.Host(), "Reader": "follow", "Start_From": "beginning", "Metrics_Listen": freeAddress(t)}
			p := start(t, host{}, setup{inputs: []options{in}, faults: c.fault})
			numbered(t, ctr, n, 4000)
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second) // 5 of them for the writing
			defer cancel()
			if !p.await(ctx, func() bool { return p.byID[ctr.ID] >= n/c.part }) {
				t.Errorf("%d records in 15 s, want %d", p.byID[ctr.ID], n/c.part)
			}
			eventually(t, limit, "all is acknowledged", func() bool {
				return metric(t, in["Metrics_Listen"], "log_capturer_acked_records_total") == n
			})
			if p.count(regexp.MustCompile(`counts other records than were appended`)) != 1 {
				t.Error("it is not said once")
			}
			p.stop()
		})
	}
}

// TestRefusedByFluentBit: an output that takes a request and never answers, and a storage limit: Fluent Bit refuses all
// that is appended. Nothing is lost; when the output answers everything comes.
func TestRefusedByFluentBit(t *testing.T) {
	const n = 12000
	var hang atomic.Bool
	hang.Store(true)
	release := make(chan struct{})
	var mu sync.Mutex
	var bodies [][]byte
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if hang.Load() {
			<-release // then it is taken: a chunk that is to be tried again could be given up
		}
		if err == nil {
			mu.Lock()
			bodies = append(bodies, body)
			mu.Unlock()
		}
		w.WriteHeader(http.StatusOK)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }); _ = srv.Close() })
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	listen := freeAddress(t)
	r := newRealAgent(t, `
service: {flush: 0.2, grace: 5, storage.path: st}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: `+fmt.Sprint(l.Addr().(*net.TCPAddr).Port)+`, format: json, retry_limit: no_limits, storage.total_limit_size: 1M}
`, "0")
	r.start()
	numbered(t, c, n, 2000) // so slowly that each chunk is under way before the next begins, and none can be given up
	eventually(t, limit, "a refusal", func() bool { return metric(t, listen, "log_capturer_refused_records_total") > 0 })
	time.Sleep(5 * time.Second)
	acked, taken := metric(t, listen, "log_capturer_acked_records_total"), metric(t, listen, "log_capturer_lines_total")
	if ready, why := get(t, "http://"+listen+"/readyz"); ready != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d %s", ready, why)
	}
	hang.Store(false)
	once.Do(func() { close(release) })
	have := func() (int, int, string) {
		mu.Lock()
		defer mu.Unlock()
		return counted(t, n, false, bodies...)
	}
	eventually(t, 2*limit, "every line", func() bool { missing, _, _ := have(); return missing == 0 })
	r.end(syscall.SIGTERM)
	missing, doubled, first := have()
	t.Logf("acknowledged %v of %v while refused; in the end %d of %d missing, %d doubled", acked, taken, missing, n, doubled)
	if missing > 0 || acked >= n {
		t.Errorf("%d missing, %v acknowledged; %s\n%s", missing, acked, first, strings.Join(tail(strings.Split(r.log.String(), "\n"), 60), "\n"))
	}
}

// metric is the value of a metric without other labels than the instance's, -1 if it is not there.
func metric(t *testing.T, listen, name string) float64 {
	t.Helper()
	_, text := get(t, "http://"+listen+"/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") || strings.HasPrefix(line, name+" ") {
			fields := strings.Fields(line)
			v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err == nil {
				return v
			}
		}
	}
	return -1
}

// TestReloadWhileAnOutputIsAway: hot reloads end although an output is away that is tried for ever, capture goes on after
// each of them, and nothing is lost or, chunks being files, comes twice.
func TestReloadWhileAnOutputIsAway(t *testing.T) {
	const reloads, part = 3, 1000
	var away atomic.Bool
	away.Store(true)
	var mu sync.Mutex
	var bodies [][]byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mu.Lock()
		bodies = append(bodies, body)
		mu.Unlock()
	}))
	t.Cleanup(srv.Close)
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	listen := freeAddress(t)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	r := newRealAgent(t, `
service: {flush: 0.2, grace: 2, hot_reload: on, hot_reload.ensure_thread_safety: off, storage.path: st, scheduler.base: 1, scheduler.cap: 2}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: `+port+`, format: json, retry_limit: no_limits}
`, "0")
	r.start()
	began := 0.0
	for i := range reloads + 1 {
		if i > 0 {
			if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, limit, fmt.Sprint("the end of reload ", i), func() bool {
			return metric(t, listen, "log_capturer_start_time_seconds") > began
		})
		began = metric(t, listen, "log_capturer_start_time_seconds")
		for k := range part {
			c.Stdout(fmt.Sprintf("SEQ=%08d", i*part+k))
		}
		eventually(t, limit, fmt.Sprint("what was written after reload ", i), func() bool {
			return metric(t, listen, "log_capturer_acked_records_total") == part // of each generation
		})
	}
	away.Store(false)
	have := func() (int, int, string) {
		mu.Lock()
		defer mu.Unlock()
		return counted(t, (reloads+1)*part, false, bodies...)
	}
	eventually(t, limit, "every line", func() bool { missing, _, _ := have(); return missing == 0 })
	r.end(syscall.SIGTERM)
	if missing, doubled, first := have(); missing+doubled > 0 {
		t.Errorf("%d missing, %d doubled; %s\n%s", missing, doubled, first, strings.Join(tail(strings.Split(r.log.String(), "\n"), 60), "\n"))
	}
}

// TestDiskOfTheChunks: Fluent Bit tells nobody where its chunks are, and counts what it cannot write; so the disk is seen
// where a chunk is open, and said before it is full.
func TestDiskOfTheChunks(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	listen := freeAddress(t)
	r := newRealAgent(t, `
service: {flush: 0.2, grace: 1, storage.path: st}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: 1, retry_limit: no_limits}
`, "0")
	disk := filepath.Join(r.dir, "st")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("cannot mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(disk, "other"), make([]byte, 15700<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	numbered(t, c, 1000, 50)
	eventually(t, 30*time.Second, "/readyz names the disk", func() bool {
		code, why := get(t, "http://"+listen+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(why, "a disk is nearly full: "+disk)
	})
	_, text := get(t, "http://"+listen+"/metrics")
	if !regexp.MustCompile(`log_capturer_disk_size_bytes\{.*of="storage"\} 1\.6777216e\+07`).MatchString(text) {
		t.Errorf("the disk of the chunks is not measured\n%s", text)
	}
	r.end(syscall.SIGTERM)
}
