package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

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

var evicted = regexp.MustCompile(`evicted from output queue .* bytes=(\d+)`)

// leastRecord is about how many bytes a record of the test has in a chunk, at least.
const leastRecord = 150

// TestRefusedByFluentBit: an output that takes a request and never answers, and a storage limit: Fluent Bit refuses all
// that is appended. Nothing is lost; when the output answers everything comes.
func TestRefusedByFluentBit(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, bin fluentBit) {
		const n = 12000
		k := newTaker(t)
		k.hangs.Store(true)
		e := dockertest.Start(t)
		c := e.Run(dockertest.Container{Name: "web"})
		listen := freeAddress(t)
		r := newConfigured(t, bin, `
service: {flush: 0.2, grace: 5, storage.path: st}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: `+k.port+`, format: json, retry_limit: no_limits, storage.total_limit_size: 1M}
`, "0")
		r.start()
		numbered(t, c, n, 2000) // so slowly that each chunk is under way before the next begins, and none can be given up
		eventually(t, limit, "a refusal", func() bool { return metric(t, listen, "log_capturer_refused_records_total") > 0 })
		time.Sleep(5 * time.Second)
		// A probe may find room for once: Fluent Bit says so itself, and refuses again with the next.
		eventually(t, limit, "/readyz to say that Fluent Bit refuses", func() bool {
			ready, why := get(t, "http://"+listen+"/readyz")
			return ready == http.StatusServiceUnavailable && strings.Contains(why, "Fluent Bit keeps no records")
		})
		acked, taken := metric(t, listen, "log_capturer_acked_records_total"), metric(t, listen, "log_capturer_lines_total")
		k.free()
		o := settled(t, n, false, k.texts)
		_ = r.end(syscall.SIGTERM)
		t.Logf("acknowledged %v of %v while refused; in the end %v", acked, taken, o)
		// On a busy machine a chunk may wait for once while another is under way: Fluent Bit gives it up, and says so.
		given := 0
		for _, m := range evicted.FindAllStringSubmatch(r.log.String(), -1) {
			size, _ := strconv.Atoi(m[1])
			given += size
		}
		if o.missing*leastRecord > given || acked >= n {
			t.Errorf("%v, %v acknowledged, %d bytes were given up by Fluent Bit; %s", o, acked, given, o.first)
		}
	})
}
