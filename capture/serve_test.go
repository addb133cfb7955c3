package capture_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/docker/enginetest"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	addr, err := enginetest.FreeAddr()
	must(t, err)
	return addr
}

// show shows an agent under a name, as the plugin does.
func (a *agent) show(name string) (hide func()) {
	metrics := prometheus.NewRegistry()
	must(a.t, prometheus.WrapRegistererWith(prometheus.Labels{"instance": name}, metrics).Register(a.reg))
	hide = a.col.Show(name, metrics)
	a.t.Cleanup(hide)
	return hide
}

// Two instances share one address, which is free again when both have gone.
func TestInstancesShareAnAddress(t *testing.T) {
	e := dockertest.Start(t)
	e.Run(dockertest.Container{Name: "web"}).Stdout("line")
	opts := map[string]string{"Metrics_Listen": freeAddress(t), "Start_From": "beginning"}
	url := "http://" + opts["Metrics_Listen"]
	for range 3 { // as hot reloads do
		first, second := startAgent(t, e.Host(), opts), startAgent(t, e.Host(), opts)
		hideFirst, hideSecond := first.show("docker_logs.0"), second.show("other")
		first.waitRecords(1)
		second.waitRecords(1)
		_, body := ask(t, "GET", url+"/metrics")
		for _, want := range []string{`log_capturer_lines_total{instance="docker_logs.0"} 1`, `log_capturer_lines_total{instance="other"} 1`} {
			if !strings.Contains(body, want) {
				t.Errorf("no %s in\n%s", want, body)
			}
		}
		hideFirst()
		first.stop()
		if _, body = ask(t, "GET", url+"/metrics"); strings.Contains(body, "docker_logs.0") || !strings.Contains(body, "other") {
			t.Error("an instance that has gone is shown, or one that has not is not")
		}
		second.stop()
		hideSecond()
		l, err := net.Listen("tcp", opts["Metrics_Listen"])
		must(t, err)
		must(t, l.Close())
		if n := strings.Count(first.log.String(), "metrics are served"); n != 1 {
			t.Errorf("it is said %d times that metrics are served", n)
		}
	}
}

// With Metrics_Listen off nothing is served.
func TestNothingIsServed(t *testing.T) {
	e := dockertest.Start(t)
	off := startAgent(t, e.Host(), map[string]string{"Metrics_Listen": "off"})
	off.show("docker_logs.0")
	if strings.Contains(off.log.String(), "metrics are served") {
		t.Error("Metrics_Listen off serves")
	}
}

// What is asked for is answered as the state is, and only that.
func TestHealthAndStreams(t *testing.T) {
	e := dockertest.Start(t)
	opts := map[string]string{"Metrics_Listen": freeAddress(t), "Reader": readerFollow}
	url := "http://" + opts["Metrics_Listen"]
	a := startAgent(t, e.Host(), opts)
	a.show("docker_logs.0")
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("a", "b")
	a.waitTexts(c.ID, "", 2)

	if code, body := ask(t, "GET", url+"/healthz"); code != 200 || body != "alive\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	type readiness struct {
		Ready     bool
		Instances []status.Health
	}
	ready := func() (int, readiness) {
		code, body := ask(t, "GET", url+"/readyz")
		var r readiness
		must(t, json.Unmarshal([]byte(body), &r))
		return code, r
	}
	code, r := ready()
	if h := r.Instances[0]; code != 200 || !r.Ready || !h.Ready || h.Instance != "docker_logs.0" || !h.Engine.Reachable || h.Engine.Version == "" ||
		h.Streams[readerFollow] != 1 || h.Totals.Lines != 2 || h.FDs.Process == 0 || h.FDs.Connections == 0 {
		t.Errorf("/readyz: %d %+v", code, r)
	}
	a.waitFor("a stream in sync", func() bool { return a.col.Streams()[0].State == status.Reading })
	_, body := ask(t, "GET", url+"/streams")
	var all []status.Stream
	must(t, json.Unmarshal([]byte(body), &all))
	if len(all) != 1 || all[0].ID != c.ID || all[0].Name != "web" || all[0].Reader != readerFollow || all[0].Lines != 2 ||
		all[0].Position == nil || all[0].Age <= 0 || all[0].LastError != "" {
		t.Errorf("/streams: %s", body)
	}
	if code, body := ask(t, "GET", url+"/"); code != 200 || !strings.Contains(body, "<title>docker_logs</title>") {
		t.Errorf("/: %d %.100q", code, body)
	}
	for _, wrong := range []struct {
		method, path string
		code         int
	}{{"POST", "/readyz", 405}, {"DELETE", "/", 405}, {"GET", "/nothing", 404}} {
		if code, _ := ask(t, wrong.method, url+wrong.path); code != wrong.code {
			t.Errorf("%s %s: %d", wrong.method, wrong.path, code)
		}
	}

	e.Down()
	a.waitFor("the Engine's absence to be seen", func() bool { return !a.col.View().Engine.Reachable })
	a.waitLog("the Engine does not answer")
	code, r = ready()
	if h := r.Instances[0]; code != 503 || r.Ready || len(h.Problems) == 0 || h.LastError == "" || h.LastErrorAt == nil ||
		h.Engine.Since.Before(h.Since) || h.Engine.NextTry == nil || h.Engine.NextTry.Before(h.Engine.Since) || h.Engine.Error == "" {
		t.Errorf("/readyz without an Engine: %d %+v", code, r)
	}
	must(t, e.Up())
	a.waitFor("the Engine's return", func() bool { return a.col.Health().Ready })
}
