package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// TestHelp: the agent lists every option of the table.
func TestHelp(t *testing.T) {
	eachAgent(t, func(t *testing.T, a agent) {
		needOptions(t, a)
		out, err := a.help().CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text := strings.ToLower(string(out))
		for _, o := range capture.Options() {
			if !regexp.MustCompile(`(?m)^\W*(\x1b\[[0-9;]*m)?` + regexp.QuoteMeta(strings.ToLower(o.Key)) + `\b`).MatchString(text) {
				t.Errorf("%s is not listed in\n%s", o.Key, out)
			}
		}
	})
}

// needOptions skips the test where an agent takes no list of options from a Go plugin.
func needOptions(t *testing.T, a agent) {
	t.Helper()
	if bin, ok := a.(fluentBit); ok && !bin.version.since(5, 1, 1) {
		t.Skip(bin, " takes no list of options from a Go plugin")
	}
}

// TestBadValues: a value that is not allowed stops the start; the message names option, value and what is allowed.
func TestBadValues(t *testing.T) {
	allowed := map[string]string{}
	for _, o := range capture.Options() {
		allowed[o.Key] = o.Allowed
	}
	eachAgent(t, func(t *testing.T, a agent) {
		for _, c := range []struct{ key, value string }{
			{"Docker_Host", "http:/nowhere"},
			{"Reader", "guess"},
			{"Include", "color=red"},
			{"Include", "name=[a"},
			{"Exclude_Self", "perhaps"},
			{"Streams", "stdin"},
			{"Start_From", "yesterday"},
			{"Max_Line_Size", "-1"},
			{"Batch_Size", "1G"},
			{"Buffer_Limit", "lots"},
			{"Tag_Template", "<no_such_key>"},
			{"Resync_Interval", "0s"},
		} {
			t.Run(c.key+"="+c.value, func(t *testing.T) {
				t.Parallel()
				said := refused(t, a, setup{inputs: []options{{c.key: c.value}}})
				for _, want := range []string{c.key, c.value, allowed[c.key]} {
					if !strings.Contains(said, want) {
						t.Errorf("%q is not said in\n%s", want, said)
					}
				}
			})
		}
	})
}

// TestUnknownKey: a key that is no option stops the start.
func TestUnknownKey(t *testing.T) {
	eachAgent(t, func(t *testing.T, a agent) {
		needOptions(t, a)
		if said := refused(t, a, setup{inputs: []options{{"Dokcer_Host": "unix:///x"}}}); !strings.Contains(strings.ToLower(said), "dokcer_host") {
			t.Errorf("the key is not named in\n%s", said)
		}
	})
}

// TestUnthreaded: without a thread of its own the plugin refuses to run, where it would crash later.
func TestUnthreaded(t *testing.T) {
	eachAgent(t, func(t *testing.T, a agent) {
		said := refused(t, a, setup{inputs: []options{{}}, unthreaded: true})
		if !regexp.MustCompile(`(?i)docker_logs.*threaded`).MatchString(said) {
			t.Errorf("no clear message in\n%s", said)
		}
	})
}

// TestMissingSymbol: without a call that it needs the plugin refuses to run, and names the call.
func TestMissingSymbol(t *testing.T) {
	for _, symbol := range []string{"flb_input_log_append", "flb_input_set_collector_event", "flb_input_set_property", "flb_input_name"} {
		said := refused(t, host{}, setup{inputs: []options{{}}, faults: []string{"--hide", symbol}})
		if !strings.Contains(said, "needs "+symbol) {
			t.Errorf("%s is not named in\n%s", symbol, said)
		}
	}
}

// TestOldVersions: what drops lines behind our back is refused, and a refused start ends also an agent that would run on
// without the input.
func TestOldVersions(t *testing.T) {
	for layout, c := range map[string]struct {
		in   options
		said string
	}{
		"2.0": {options{}, "needs Fluent Bit 2.2 or later"},
		"2.1": {options{}, "needs Fluent Bit 2.2 or later"},
		"2.2": {options{"Reader": "guess"}, "option Reader"},
	} {
		p := launch(t, host{}, setup{inputs: []options{c.in}, faults: []string{"--layout", layout}})
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if !p.wait(ctx) {
			t.Fatalf("%s runs on", layout)
		}
		if said := strings.Join(p.lines, "\n"); !strings.Contains(said, c.said) {
			t.Errorf("%s: no %q in\n%s", layout, c.said, said)
		}
	}
}

// TestOldStops: before 4.0.3 an orderly stop throws away what has left the ring after its flush. It comes again.
func TestOldStops(t *testing.T) {
	const n = 6000
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	s := setup{faults: []string{"--layout", "2.2"}, inputs: []options{{
		"Docker_Host": e.Host(), "Reader": "follow", "DB": filepath.Join(t.TempDir(), "db.json"), "Start_From": "beginning", "Metrics_Listen": "off"}}}
	p := start(t, host{}, s)
	for i := range 3 { // each has lines to come, however slow the machine is
		written := numberedFrom(t, c, i*n/3, (i+1)*n/3, 2000)
		p.awaitMore(c.ID)
		time.Sleep(300 * time.Millisecond)
		p = p.again(syscall.SIGTERM, s)
		defer func() { <-written }()
	}
	p.awaitDistinct(c.ID, n)
	seen := map[string]bool{}
	for _, r := range p.stopTorn() {
		seen[r.text("log")] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d lines missing", n-len(seen), n)
	}
}

// TestDaemon: a fork after the plugin was loaded leaves its Go runtime without threads; the plugin refuses to run then.
func TestDaemon(t *testing.T) {
	eachAgent(t, func(t *testing.T, a agent) {
		log := filepath.Join(t.TempDir(), "log")
		s := setup{inputs: []options{{}}, daemon: true, logFile: log}
		p := launch(t, a, s)
		t.Cleanup(func() { killAll(p.path) })
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if !p.wait(ctx) {
			t.Fatalf("%s did not go into the background", a)
		}
		// The parent is gone; the child has neither our pipes nor a parent to wait for it.
		for len(pidsOf(p.path)) > 0 {
			select {
			case <-ctx.Done():
				t.Fatalf("%s runs on in the background", a)
			case <-time.After(20 * time.Millisecond):
			}
		}
		said, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all := strings.Join(p.lines, "\n") + string(said)
		if !regexp.MustCompile(`(?i)docker_logs.*daemon`).MatchString(all) {
			t.Errorf("no clear message in\n%s", all)
		}
	})
}

// pidsOf returns the agents that write to a sink: its path stands on their command line or in the configuration file
// beside which they were started.
func pidsOf(out string) []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		args := strings.Split(string(line), "\x00")
		for i, arg := range args {
			conf := ""
			if arg == "-c" && i+1 < len(args) {
				b, _ := os.ReadFile(args[i+1])
				conf = string(b)
			}
			if strings.Contains(arg, out) || strings.Contains(conf, out) {
				var pid int
				if _, err := fmt.Sscanf(filepath.Base(dir), "%d", &pid); err == nil && pid != os.Getpid() {
					pids = append(pids, pid)
				}
				break
			}
		}
	}
	return pids
}

// killAll ends the agents of a sink that are left.
func killAll(out string) {
	for _, pid := range pidsOf(out) {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}
