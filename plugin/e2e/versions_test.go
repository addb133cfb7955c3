package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// cell puts what came of a check into the table of versions: see `make versions`.
func cell(t *testing.T, bin fluentBit, check, figure string) {
	t.Helper()
	t.Attr("row", check)
	t.Attr("column", bin.version.String())
	t.Attr("cell", figure)
}

// TestVersions: what each Fluent Bit that FLUENT_BITS names does under load. Nothing is missing on any of them; nothing is
// doubled but by a kill and, with chunks in memory before 4.0.3, by a stop. `make versions` sets the full numbers.
func TestVersions(t *testing.T) {
	stops, reloads, kills := times(t, "STOPS", 2), times(t, "RELOADS", 2), times(t, "KILLS", 2)
	pause := time.Duration(times(t, "PAUSE", 8)) * time.Second
	const rate = 5000
	eachFluentBit(t, func(t *testing.T, bin fluentBit) {
		for _, c := range []struct {
			name, row string
			harm
		}{
			{"stops, memory", fmt.Sprintf("%d SIGTERM under load, `memory`", stops), harm{path: plain, storage: "memory", sig: syscall.SIGTERM, times: stops, rate: rate}},
			{"stops, filesystem", fmt.Sprintf("%d SIGTERM under load, `filesystem`", stops), harm{path: plain, storage: "filesystem", sig: syscall.SIGTERM, times: stops, rate: rate}},
			{"reloads, memory", fmt.Sprintf("%d hot reloads under load, `memory`", reloads), harm{path: plain, storage: "memory", sig: syscall.SIGHUP, times: reloads, rate: rate}},
			{"reloads, filesystem", fmt.Sprintf("%d hot reloads under load, `filesystem`", reloads), harm{path: plain, storage: "filesystem", sig: syscall.SIGHUP, times: reloads, rate: rate}},
			{"kills, filesystem", fmt.Sprintf("%d SIGKILL under load, `filesystem`", kills), harm{path: plain, storage: "filesystem", sig: syscall.SIGKILL, times: kills, rate: rate}},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				o, _ := c.do(t, bin)
				cell(t, bin, c.row, fmt.Sprintf("%d / %d", o.missing, o.doubled))
				mayDouble := c.sig == syscall.SIGKILL || c.storage == "memory" && !bin.version.since(4, 0, 3)
				if o.missing > 0 || o.doubled > 0 && !mayDouble {
					t.Errorf("%v; %s", o, o.first)
				}
			})
		}
		for _, stopped := range []bool{false, true} {
			name, row := "limit", fmt.Sprintf("`Mem_Buf_Limit`, the output refuses for %v", pause)
			if stopped {
				name, row = "limit, stop", row+", SIGTERM at its end"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := limited(t, bin, pause, stopped)
				cell(t, bin, row, fmt.Sprintf("%d / %d", o.missing, o.doubled))
				if o.missing > 0 || o.doubled > 0 && bin.version.since(4, 0, 3) {
					t.Errorf("%v; %s", o, o.first)
				}
			})
		}
		t.Run("a wrong value", func(t *testing.T) {
			t.Parallel()
			said, err := wrongValue(t, bin)
			status := "exit status 0"
			if err != nil {
				status = err.Error()
			}
			cell(t, bin, "a wrong value", "refused, "+status)
			if !strings.Contains(said, "guess") || err == nil && bin.version.since(4, 0, 3) {
				t.Errorf("%v: %s", err, said)
			}
		})
	})
	for _, bin := range tooOld {
		t.Run(bin.String(), func(t *testing.T) {
			t.Parallel()
			said, _ := wrongValue(t, bin)
			if !strings.Contains(said, "needs Fluent Bit 2.2 or later") {
				t.Errorf("the start is not refused:\n%s", said)
			}
			cell(t, bin, "start", "refused")
		})
	}
}

// limited has the output refuse for so long that Mem_Buf_Limit pauses the input, and then take everything, with a stop in
// between or without.
func limited(t *testing.T, bin fluentBit, pause time.Duration, stopped bool) outcome {
	t.Helper()
	const n = 80000
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	k := newTaker(t)
	k.refuses.Store(true)
	r := newConfigured(t, bin, `
service: {flush: 1, grace: 20, scheduler.base: 1, scheduler.cap: 2}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: 'off', mem_buf_limit: 2M}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: `+k.port+`, format: json, retry_limit: no_limits}
`, "0")
	r.start()
	numbered(t, c, n, 10000)
	eventually(t, limit, "a pause", func() bool { return r.said("mem buf overlimit") > 0 })
	time.Sleep(pause)
	k.refuses.Store(false)
	if stopped {
		_ = r.end(syscall.SIGTERM)
		r.start()
	}
	settled(t, n, false, k.texts)
	if err := r.end(syscall.SIGTERM); err != nil {
		t.Errorf("%s: %v", bin, err)
	}
	return counted(n, false, k.texts()...)
}

// wrongValue starts it with a value that is not allowed, which ends it.
func wrongValue(t *testing.T, bin fluentBit) (said string, err error) {
	t.Helper()
	r := newConfigured(t, bin, `
service: {flush: 1}
pipeline:
  inputs: [{name: docker_logs, reader: guess}]
  outputs: [{name: 'null', match: '*'}]
`, "0")
	r.start()
	err = r.wait("a start with a wrong value")
	return r.log.String(), err
}
