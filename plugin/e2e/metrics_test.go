package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	addr, err := enginetest.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// asking keeps no connection, so that goleak sees none.
var asking = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: limit}

// get returns what is at a URL, "" while nobody answers.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := asking.Do(req)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
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

// await asks until the answer is as wanted; nothing announces it.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// TestMetricsOverReloads: two inputs share an address, which answers after each hot reload and is free in the end.
func TestMetricsOverReloads(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name, addr := unique("metrics"), freeAddress(t)
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=250", "-size=100", "-hold"}})
		inputs := []options{input(e, name), input(e, name)}
		for i, in := range inputs {
			in["Metrics_Listen"] = addr
			in["DB"] = filepath.Join(t.TempDir(), fmt.Sprint("positions-", i))
		}
		inputs[1]["Alias"] = "second"
		p := start(t, a, setup{inputs: inputs})
		p.awaitRecords(map[string]int{c.ID: 1000})
		await(t, "the lines of both inputs", func() bool {
			_, body := get(t, "http://"+addr+"/metrics")
			return strings.Contains(body, `log_capturer_lines_total{instance="docker_logs.0"} 500`) &&
				strings.Contains(body, `log_capturer_lines_total{instance="second"} 500`)
		})
		for range 3 {
			p.reload()
			var ready struct {
				Instances []struct{ Instance string }
			}
			await(t, "an answer of two inputs that are ready", func() bool {
				code, body := get(t, "http://"+addr+"/readyz")
				return code == http.StatusOK && json.Unmarshal([]byte(body), &ready) == nil && len(ready.Instances) == 2
			})
			var streams []struct {
				ID string `json:"container_id"`
			}
			await(t, "the container's streams", func() bool {
				_, body := get(t, "http://"+addr+"/streams")
				return json.Unmarshal([]byte(body), &streams) == nil && len(streams) == 2 && streams[1].ID == c.ID
			})
		}
		if n := p.count(regexp.MustCompile(`option Metrics_Listen: `)); n != 0 {
			t.Errorf("%d times the address could not be used", n)
		}
		p.stop()
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	})
}

// TestMetricsAddressTaken: it is said, and nothing else changes.
func TestMetricsAddressTaken(t *testing.T) {
	e := enginetest.All(t)[0]
	eachAgent(t, func(t *testing.T, a agent) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		name := unique("taken")
		in := input(e, name)
		in["Metrics_Listen"] = l.Addr().String()
		p := start(t, a, setup{inputs: []options{in}})
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=50", "-size=100"}})
		c.Wait()
		p.awaitLog(regexp.MustCompile(`(?i)warn.*option Metrics_Listen: .*`+regexp.QuoteMeta(l.Addr().String())), 1)
		complete(t, p, c)
	})
}

// TestOwnMetrics: the agent's own endpoint has the most important metrics of each input, also after a hot reload.
func TestOwnMetrics(t *testing.T) {
	e := enginetest.All(t)[0]
	eachAgent(t, func(t *testing.T, a agent) {
		t.Parallel()
		name := unique("own")
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=100", "-size=100", "-hold"}})
		in := input(e, name)
		in["Rotate_Interval"] = "1s"
		s := setup{inputs: []options{in}, http: freeAddress(t)}
		p := start(t, a, s)
		check := func() {
			t.Helper()
			for _, want := range []string{`lines_total\{name="docker_logs\.0"\} 200\b`, `stream_rotations_total\{name="docker_logs\.0"\} [1-9]`,
				`gaps_total\{name="docker_logs\.0"\} 0\b`, `stream_stalls_total\{name="docker_logs\.0"\} 0\b`, `lag_seconds\{name="docker_logs\.0"\} [0-9]`} {
				pattern := regexp.MustCompile(`(?m)^log_capturer_` + want)
				await(t, want, func() bool { return pattern.MatchString(p.ownMetrics(s.http)) })
			}
		}
		p.awaitRecords(map[string]int{c.ID: 200})
		check()
		p.reload() // without DB everything comes again
		p.awaitRecords(map[string]int{c.ID: 400})
		check()
		p.stop()
	})
}

// ownMetrics is what the agent's endpoint says; of the host, what it prints.
func (p *process) ownMetrics(address string) string {
	p.t.Helper()
	if _, ok := p.agent.(host); !ok {
		_, body := get(p.t.(*testing.T), "http://"+address+"/api/v2/metrics/prometheus")
		return body
	}
	done := regexp.MustCompile(`^\[host\] ok metrics`)
	n := p.count(done)
	if _, err := io.WriteString(p.stdin, "metrics\n"); err != nil {
		p.t.Fatal(err)
	}
	p.awaitLog(done, n+1)
	p.logMu.Lock()
	defer p.logMu.Unlock()
	return strings.Join(tail(p.lines, 60), "\n")
}

// TestOptionalCalls: an agent without the calls for metrics, or for an append of a known number of records, captures as
// any other.
func TestOptionalCalls(t *testing.T) {
	e := enginetest.All(t)[0]
	for without, fault := range map[string][]string{"metrics": {"--no-counter"}, "count": {"--hide", "flb_input_log_append_records"}} {
		t.Run(without, func(t *testing.T) {
			t.Parallel()
			name := unique("without")
			p := start(t, host{}, setup{inputs: []options{input(e, name)}, faults: fault})
			c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=50", "-size=100"}})
			c.Wait()
			want, counts := wanted(c)
			p.awaitRecords(counts)
			if text := p.ownMetrics(""); strings.Contains(text, "log_capturer_") != (without != "metrics") {
				t.Errorf("metrics:\n%s", text)
			}
			exact(t, want, arrived(p.stop(), "docker"))
		})
	}
}
