package host_test

import (
	"slices"
	"strings"
	"testing"
)

func TestSymbols(t *testing.T) {
	for _, test := range []struct{ args, init, exit string }{
		{"", "native map=new", "acked=3"},
		{"--no-native", "proxy map=none", "acked=-1"},
		{"--no-counter", "native map=new", "acked=-1"},
		{"--hide flb_input_log_append", "proxy map=new", "acked=3"},
		{"--hide flb_input_set_c*", "proxy map=new", "acked=3"},
		{"--layout 4.2.3", "native map=old", "acked=3"},
	} {
		t.Run(test.args, func(t *testing.T) {
			p := run(t, append(strings.Fields(test.args), probe, "records=3", "batch=3")...)
			p.wait("Init.*" + test.init)
			p.written(3)
			p.do("exit")
			p.wait("Exit.*" + test.exit)
			p.end()
			p.wantSequence(3)
		})
	}
}

func TestLayouts(t *testing.T) {
	for _, test := range []struct {
		layout, calls, broken string
	}{
		{"2.0", "Register Init Exit Unregister", "context def flags"},
		{"2.1", "Register Init Exit Unregister", "context def flags"},
		{"2.2", "PreRegister Register Init PreRun Pause Pause PreExit Exit Unregister", "context def flags"},
		{"4.1", "PreRegister Register Init PreRun Pause Pause PreExit Exit Unregister", "context def flags"},
		{"4.2.3", "PreRegister Register Init PreRun Pause Pause PreExit Exit Unregister", "context"},
		{"5.1.1", "PreRegister Register Init PreRun Pause Pause PreExit Exit Unregister", "context"},
	} {
		t.Run(test.layout, func(t *testing.T) {
			p := run(t, "--layout", test.layout, probe, "records=3")
			p.wait("ok ready")
			p.written(3)
			p.do("exit")
			p.end()
			p.wantSequence(3)
			if got := names(p.calls()); !slices.Equal(got, strings.Fields(test.calls)) {
				t.Errorf("%v", got)
			}
		})
		for _, what := range []string{"context", "def", "flags"} {
			t.Run(test.layout+" broken "+what, func(t *testing.T) {
				p := run(t, "--layout", test.layout, "--duration", "1ms", probe, "env:PROBE_BREAK="+what)
				want := 0
				if strings.Contains(test.broken, what) {
					want = 3
				}
				if status := p.end(); status != want {
					t.Errorf("exit status %d, want %d", status, want)
				}
			})
		}
	}
}

func TestStartRefused(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"env:PROBE_BREAK=init", "plugin 'probe' failed to initialize"},
		{"env:PROBE_BREAK=map record=3", "probe: unknown configuration property 'record'. The following properties are allowed: records, and batch."},
		{"env:PROBE_BREAK=map records=3 records=4", "probe: configuration property 'records' is set 2 times"},
		{"mem_buf_limit=many", "could not configure property 'mem_buf_limit'"},
	} {
		t.Run(test.args, func(t *testing.T) {
			p := run(t, append([]string{probe}, strings.Fields(test.args)...)...)
			if status := p.end(); status != 1 || !p.has(test.want) {
				t.Errorf("exit status %d, want 1 and %q", status, test.want)
			}
		})
	}
	t.Run("older releases take any key", func(t *testing.T) {
		p := run(t, "--layout", "4.2.3", "--duration", "1ms", probe, "record=3", "env:PROBE_BREAK=map")
		if status := p.end(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	})
}

func TestOtherModes(t *testing.T) {
	t.Run("daemon", func(t *testing.T) {
		p := run(t, "--daemon", probe, "records=3")
		p.wait("ok ready")
		p.written(3)
		p.do("exit")
		if status := p.end(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		p.wantSequence(3)
	})
	t.Run("no thread", func(t *testing.T) {
		p := run(t, "--no-thread", probe, "records=3", "mode=proxy", "batch=3")
		p.wait("Init probe.0 thread=flb-pipeline")
		p.written(3)
		p.do("exit")
		p.end()
		p.wantSequence(3)
	})
	t.Run("no thread, native", func(t *testing.T) {
		p := run(t, probe, "threaded=off")
		if p.wait("violation.*NULL config"); p.end() != 3 {
			t.Error("want exit status 3")
		}
	})
	t.Run("help", func(t *testing.T) {
		p := run(t, probe, "-h", "env:PROBE_BREAK=map")
		p.wait("^records +how many")
		p.wait("default: 0, type: string")
		if status := p.end(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	})
}
