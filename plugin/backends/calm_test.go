package backends

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/backends/lokitest"
)

// needs skips the test where Fluent Bit is not installed, or has no output loki, or what the script needs for these backends.
func needs(t *testing.T, names ...string) {
	t.Helper()
	if asked {
		t.Skip("make test runs this")
	}
	if _, ok := debian.FluentBit(); !ok {
		t.Skip("no fluent-bit here: it is not tested what comes of the lines behind it")
	}
	if err := exec.Command(program(), "-o", "loki", "-h").Run(); err != nil {
		t.Skip("this fluent-bit was built without output loki")
	}
	for _, name := range names {
		if _, err := script("missing", name); err != nil {
			if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
				t.Skip(err)
			}
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "build", "in_docker_logs.so")); err != nil {
		t.Fatalf("%v: run `make build` before", err)
	}
}

// ownScript returns docker/backends.sh with a state of its own, so that it meets no backend of somebody else, and stops what
// it started when the test ends.
func ownScript(t *testing.T, env ...string) func(args ...string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	_ = free.Close()
	env = append(slices.Clone(env), "XDG_STATE_HOME="+t.TempDir(), "VICTORIALOGS_PORT="+port)
	run := func(args ...string) string {
		t.Helper()
		out, err := scriptWith(env, args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	t.Cleanup(func() { run("down") })
	return run
}

// await waits until ok is true, and asks often.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestVictoriaLogs: what Fluent Bit sends with conf/victorialogs.conf is in VictoriaLogs, each line once, with its time,
// labels and structured metadata.
func TestVictoriaLogs(t *testing.T) {
	needs(t, "victorialogs")
	t.Parallel()
	e := enginetest.First(t)
	v := victoriaLogsTarget(ownScript(t)("up", "victorialogs"))
	t.Cleanup(v.close)
	newFluentBit(t, e.Host, "victorialogs.conf", shortPrefix("victoria"), v.env()).start()
	startLoad(t, e, "VictoriaLogs, calm", "victoria", volume{4, 500, 250}, 200*time.Millisecond, v.backend).judge(exact)
}

// TestVictoriaLogsDrops: what VictoriaLogs answers as taken and does not hold as it was.
func TestVictoriaLogsDrops(t *testing.T) {
	needs(t, "victorialogs")
	t.Parallel()
	v := &victoriaLogs{url: ownScript(t)("up", "victorialogs")}
	t.Cleanup(v.http.CloseIdleConnections)
	now := time.Now()
	const day = 24 * time.Hour
	for after, text := range map[time.Duration]string{
		-9 * day: "too old", 4 * day: "too new", 0: strings.Repeat("x", 2<<20), 1: "", 2: strings.Repeat("x", 1<<20), 3: `{"a":"b"}`,
	} {
		v.push(t, now.Add(after), text)
	}
	l := &load{began: now.Add(-30 * day)}
	await(t, "three lines", func() bool { n, _ := v.count(t.Context(), l); return n >= 3 })
	body, err := v.query(t.Context(), "*", l.began)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := parseRows(body)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	if !strings.HasPrefix(entries[0].text, "missing _msg field") {
		t.Errorf("the empty line is %.100q", entries[0].text)
	}
	if n := len(entries[1].text); n != 1<<20 {
		t.Errorf("the line of 1 MB has %d bytes", n)
	}
	if entries[2].text != `{"a":"b"}` || len(entries[2].metadata) > 0 {
		t.Errorf("the line of JSON is %+v", entries[2])
	}
}

// push sends one line, which must be answered as taken.
func (v *victoriaLogs) push(t *testing.T, at time.Time, text string) {
	t.Helper()
	body := fmt.Sprintf(`{"streams":[{"stream":{"container_name":"web"},"values":[["%d",%q]]}]}`, at.UnixNano(), text)
	resp, err := v.http.Post(v.url+pushPath, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("%.40q is answered with %s", text, resp.Status)
	}
}

// TestLokiURL: the way of `make e2e` with LOKI_URL, to the Loki of the tests: each line once, with its time, labels and
// structured metadata.
func TestLokiURL(t *testing.T) {
	needs(t)
	t.Parallel()
	e := enginetest.First(t)
	l, err := lokiTarget(lokitest.Start(t, lokitest.Defaults()).URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	newFluentBit(t, e.Host, "loki.conf", shortPrefix("loki"), l.env(), l.settings...).start()
	startLoad(t, e, "Loki of the tests, calm", "loki", volume{4, 500, 250}, 200*time.Millisecond, l.backend).judge(exact)
}

// TestLokiURLIsRefused: an address that cannot be used is named with what is wanted.
func TestLokiURLIsRefused(t *testing.T) {
	for _, address := range []string{"loki", "loki:3100", "https://loki:3100", "http://loki", "http://:3100", "http://u:p@loki:3100", "http://loki:3100/loki/api/v1/push", "http://loki:3100?x=y"} {
		if _, err := lokiTarget(address); err == nil || !strings.Contains(err.Error(), "LOKI_URL") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
	to, err := lokiTarget("http://[::1]:3100/")
	if err != nil || to.url != "http://[::1]:3100" || !slices.Contains(to.env(), "LOKI_HOST=::1") || !slices.Contains(to.env(), "LOKI_PORT=3100") {
		t.Errorf("%+v, %v", to, err)
	}
}

// TestScript: docker/backends.sh starts what it is asked to start and nothing else, keeps what was written until down, and
// leaves nothing of the Loki that earlier versions built.
func TestScript(t *testing.T) {
	needs(t, "victorialogs")
	t.Parallel()
	ownScript(t)("up", "victorialogs") // builds it, where it was not yet
	shared, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	built, err := filepath.Glob(filepath.Join(shared, "docker-logs-test", "backends", "victorialogs-*"))
	if err != nil || len(built) == 0 {
		t.Fatalf("nothing was built: %v", err)
	}
	own := t.TempDir()
	cache := filepath.Join(own, "docker-logs-test", "backends")
	for _, old := range []string{"loki-v3.7.8", "src/loki/go.mod"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(cache, old)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache, old), nil, 0o700); err != nil { //nolint:gosec // it stands for a program
			t.Fatal(err)
		}
	}
	for _, path := range built {
		if err := os.Symlink(path, filepath.Join(cache, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	run := ownScript(t, "XDG_CACHE_HOME="+own)
	address := run("up", "victorialogs")
	if left, err := filepath.Glob(filepath.Join(cache, "loki*")); err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(cache, "src", "loki")); !os.IsNotExist(err) {
		t.Errorf("the source of Loki is still there: %v", err)
	}
	v := &victoriaLogs{url: address}
	t.Cleanup(v.http.CloseIdleConnections)
	l := &load{began: time.Now().Add(-time.Minute)}
	if n, err := v.count(t.Context(), l); n != 0 || err != nil {
		t.Errorf("it holds %d lines, %v", n, err)
	}
	v.push(t, time.Now(), "a line")
	await(t, "the line", func() bool { n, _ := v.count(t.Context(), l); return n == 1 })
	run("stop", "victorialogs")
	if _, err := v.count(t.Context(), l); err == nil {
		t.Error("it was stopped, and answers")
	}
	if again := run("start", "victorialogs"); again != "" {
		t.Errorf("start prints %q", again)
	}
	if n, err := v.count(t.Context(), l); n != 1 || err != nil {
		t.Errorf("after the start it holds %d lines, %v", n, err)
	}
	run("down")
	if _, err := v.count(t.Context(), l); err == nil {
		t.Error("all is down, and it answers")
	}
}
