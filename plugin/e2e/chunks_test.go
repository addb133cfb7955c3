package e2e

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// path is what lies between an append and its chunk, or behind that, in Fluent Bit's YAML.
type path struct {
	name           string
	input, filters string
	match          [2]string // of the outputs, after a kill: conditional routes give chunks their own names for tags
	refused        bool      // by the output, until the last stop
	dropped        bool      // every tenth line is
	since          release   // which has it
}

var plain = path{name: "plain"}

var paths = []path{
	plain,
	{name: "slow filter", filters: `
  filters:
    - {name: lua, match: docker.*, script: slow.lua, call: slow}`},
	{name: "refused output", refused: true},
	{name: "conditional routes", since: release{5, 0, 0}, match: [2]string{"rest", "some"}, input: `
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

// harm is what is done to a Fluent Bit under load.
type harm struct {
	path
	storage string // storage.type
	sig     syscall.Signal
	times   int
	rate    int  // lines a second
	beside  bool // the same lines are read by tail, which has a DB too
}

func (h harm) yaml(host, port string) string {
	y := `
service: {flush: 1, grace: 4, hot_reload: on, hot_reload.ensure_thread_safety: off, storage.path: st, scheduler.base: 1, scheduler.cap: 2}
pipeline:
  inputs:
    - name: docker_logs
      docker_host: ` + host + `
      reader: follow
      tag: docker.${RUN}
      db: db.json
      start_from: beginning
      metrics_listen: "off"
      log_level: debug
      storage.type: ` + h.storage + h.input
	if h.beside {
		y += `
    - {name: tail, path: tail.log, tag: "tail.${RUN}", db: tail.db, read_from_head: on, storage.type: ` + h.storage + `}`
	}
	y += h.filters + `
  outputs:
    - {name: file, alias: beside, match: tail.*, file: tail.txt}`
	if h.refused {
		return y + `
    - {name: http, match: docker.*, host: 127.0.0.1, port: ` + port + `, format: json, retry_limit: no_limits}
`
	}
	return y + `
    - {name: file, alias: one, match: ` + cmp.Or(h.match[0], "docker.*") + `, file: one.txt}
    - {name: file, alias: other, match: ` + cmp.Or(h.match[1], "other") + `, file: other.txt}
`
}

// do does it, and says what came of the lines in the end.
func (h harm) do(t *testing.T, bin fluentBit) (ours, tails outcome) {
	t.Helper()
	if !bin.version.since(h.since[0], h.since[1], h.since[2]) {
		t.Skipf("%s has no %s", bin, h.name)
	}
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	k := newTaker(t)
	k.refuses.Store(h.refused)
	r := newConfigured(t, bin, h.yaml(e.Host(), k.port), "0.0003")
	also, err := os.Create(filepath.Join(r.dir, "tail.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = also.Close() })
	n := h.rate * (h.times + 2) * 3 / 2
	written := numbered(t, c, n, h.rate, also)
	r.start()
	for i := range h.times {
		time.Sleep(1200*time.Millisecond + time.Duration(i*137)*time.Millisecond)
		if h.sig == syscall.SIGHUP {
			r.reload()
			continue
		}
		_ = r.end(h.sig)
		r.start()
	}
	<-written
	k.refuses.Store(false)
	texts := func() [][]byte { return append(r.files("one.txt", "other.txt"), k.texts()...) }
	beside := func() [][]byte { return r.files("tail.txt") }
	settled(t, n, h.dropped, texts)
	if h.beside {
		settled(t, n, false, beside)
	}
	if err := r.end(syscall.SIGTERM); err != nil {
		t.Errorf("%s: %v", bin, err)
	}
	return counted(n, h.dropped, texts()...), counted(n, false, beside()...)
}

// TestChunks: kills, orderly stops and hot reloads under load, with all that may lie between an append and its chunk.
// Nothing is ever missing; a kill repeats little, the others nothing. STOPS=8 and STOPS_RATE=16000 are the full numbers.
func TestChunks(t *testing.T) {
	stops, rate := times(t, "STOPS", 2), times(t, "STOPS_RATE", 2000)
	eachFluentBit(t, func(t *testing.T, bin fluentBit) {
		for _, p := range paths {
			for name, sig := range map[string]syscall.Signal{"kills": syscall.SIGKILL, "stops": syscall.SIGTERM, "reloads": syscall.SIGHUP} {
				t.Run(p.name+"/"+name, func(t *testing.T) {
					h := harm{path: p, storage: "filesystem", sig: sig, times: stops, rate: rate, beside: sig == syscall.SIGKILL}
					ours, tails := h.do(t, bin)
					t.Logf("%d %s at %d lines/s: %v", stops, name, rate, ours)
					if h.beside {
						t.Logf("tail in the same run: %v", tails)
					}
					doubled := ours.doubled
					if sig == syscall.SIGTERM && !bin.version.since(4, 0, 3) {
						doubled = ours.again // what is busy at a stop it may send twice by itself
					}
					if p.dropped && !bin.version.since(4, 1, 0) {
						doubled = 0 // it does not count what goes into its buffer
					}
					if ours.missing > 0 || sig != syscall.SIGKILL && doubled > 0 {
						t.Errorf("%v; %s", ours, ours.first)
					}
				})
			}
		}
	})
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
