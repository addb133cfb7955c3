package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/debian"
)

// order is what Fluent Bit 5.1.1 calls for one instance from start over hot
// reload to SIGTERM.
var order = strings.Fields(`PreRegister Register Init PreRun
	PreRegister Register Pause Pause PreExit Exit Unregister Init PreRun
	Pause Pause PreExit Exit Unregister`)

func names(calls []string) (n []string) {
	for _, c := range calls {
		n = append(n, strings.Fields(c)[0])
	}
	return n
}

func TestOrder(t *testing.T) {
	p := run(t, probe, "records=3")
	p.wait("ok ready")
	p.do("reload")
	p.cmd.Process.Signal(syscall.SIGTERM)
	if status := p.end(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if got := names(p.calls()); !slices.Equal(got, order) {
		t.Errorf("got  %v\nwant %v", got, order)
	}
	for _, want := range []string{"Init probe.0 thread=flb-in-probe.0-", "Exit probe.0 thread=flb-in-probe.0-", "Unregister - thread=flbhost"} {
		if !p.has(want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestOrderOfFluentBit(t *testing.T) {
	bin, ok := debian.FluentBit()
	if !ok {
		t.Skip("no fluent-bit here: the recorded order stands unchecked")
	}
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	text := "service: {flush: 1, hot_reload: on}\npipeline:\n  inputs: [{name: probe, records: 3}]\n  outputs: [{name: 'null', match: '*'}]\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, exec.Command(bin, "-e", probe, "-c", conf))
	p.wait("probe. PreRun")
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.wait("successful reload")
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.end()
	if got := names(p.calls()); !slices.Equal(got, order) {
		t.Errorf("got  %v\nwant %v", got, order)
	}
}

func TestInstances(t *testing.T) {
	p := run(t, probe, "records=2", "-i", "records=3", "tag=x", "alias=two", "-i")
	p.wait("ok ready")
	first := p.stats()
	for range 5 {
		p.do("reload")
	}
	// A thread that has ended may be counted for a moment; what leaks stays.
	last := p.stats()
	for deadline := time.Now().Add(limit); last.Process != first.Process && time.Now().Before(deadline); {
		last = p.stats()
	}
	if last.Process != first.Process {
		t.Errorf("first %+v, after five reloads %+v", first.Process, last.Process)
	}
	p.do("pause 1")
	if s := p.stats(); s.Instances[0].Paused || !s.Instances[1].Paused || s.Instances[1].Name != "two" {
		t.Errorf("%+v", s.Instances)
	}
	p.do("exit")
	p.end()
	// the last instance goes first
	var exits []string
	for _, c := range p.calls() {
		if strings.HasPrefix(c, "Exit") {
			exits = append(exits, c)
		}
	}
	if want := []string{"Exit probe.2", "Exit two", "Exit probe.0"}; !slices.Equal(exits[:3], want) {
		t.Errorf("%v", exits)
	}
}

func TestCommandsInOneWrite(t *testing.T) {
	p := run(t, probe, "records=3")
	p.wait("ok ready")
	fmt.Fprint(p.stdin, "reload\nslow 5\nbogus\nexit\n")
	if status := p.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, answer := range []string{"ok reload", "ok slow 5", "error bogus", "ok exit"} {
		if !p.has("[host] " + answer) {
			t.Errorf("no %q", answer)
		}
	}
}
