package peers

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func names(all []*Peer) string {
	var s []string
	for _, p := range all {
		s = append(s, p.Name)
	}
	return strings.Join(s, " ")
}

// TestChoose: who is compared brings ours with the same source, in the order of all; a name that nobody has is an error that
// says those there are.
func TestChoose(t *testing.T) {
	for _, c := range []struct{ of, want, fault string }{
		{"tail", "ours-file tail", ""},
		{"telegraf,tail-best", "ours-file tail-best ours-api telegraf", ""},
		{"ours-api", "ours-api", ""},
		{"tail,nobody", "", "nobody"},
		{"", "", `"" is none of`},
	} {
		got, err := choosePeers(strings.Split(c.of, ","))
		told := err != nil && c.fault != "" && strings.Contains(err.Error(), c.fault) && strings.Contains(err.Error(), "logspout")
		if (err == nil) != (c.fault == "") || err != nil && !told || names(got) != c.want {
			t.Errorf("%s: %s, %v", c.of, names(got), err)
		}
	}
	if got, err := choosePeers(nil); err != nil || names(got) != names(all()) || len(got) < 8 {
		t.Errorf("%s, %v", names(got), err)
	}
	for _, c := range []Config{{Rounds: -1}, {Scale: -1}, {Works: []string{"nothing"}}, {Peers: []string{"nobody"}}} {
		if r, err := Run(t.Context(), c, t.Logf); err == nil || r != nil {
			t.Errorf("%+v runs", c)
		}
	}
}

// TestWorks: whatever the scale, each has something to do, and no agent is left out without a reason.
func TestWorks(t *testing.T) {
	for _, scale := range []float64{0.001, 0.1, 1, 3} {
		for _, w := range works(scale) {
			if w.containers < 1 || w.written() < 1 && w.idle < time.Second || w.lines > 0 && w.span() < time.Second || w.what == "" || w.flush == "" {
				t.Errorf("scale %g: %+v", scale, w)
			}
			if w.lines > 0 && w.backlog > 0 {
				t.Errorf("%s has a backlog, and lines that come: once knows one or the other", w.name)
			}
			for _, p := range all() {
				if why := w.why(p); (why != "") != (p.live && w.backlog > 0 || p.single && w.name != "read" && w.name != "json" && w.name != "rotation") {
					t.Errorf("%s, %s: %q", w.name, p.Name, why)
				}
			}
		}
	}
}

// TestNotBuilt: a peer that Go cannot bring is not there, with the reason, and leaves nothing that looks like it.
func TestNotBuilt(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOCACHE", t.TempDir())
	t.Setenv("GOMODCACHE", t.TempDir())
	p := logspout()
	if err := p.find(t.Context(), t.Logf); err == nil || !strings.Contains(err.Error(), "GOPROXY=off") {
		t.Errorf("error %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "docker-logs-test", "peers", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestBuiltOnce: what was built is there the next time, and named by its version.
func TestBuiltOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	times := 0
	for range 2 {
		path, err := built(t.Context(), t.Logf, "x", "1.2", func(_ context.Context, g *goModule) error {
			times++
			return os.WriteFile(g.out, nil, 0o755)
		})
		if err != nil || filepath.Base(filepath.Dir(path)) != "x-1.2" {
			t.Fatal(path, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if times != 1 {
		t.Errorf("built %d times", times)
	}
}

// shell is an agent that runs a script.
func shell(t *testing.T, script string) *run {
	r := &run{Peer: &Peer{Name: "shell", program: "/bin/sh"}, work: works(1)[0], dir: t.TempDir(), args: []string{"-c", script}}
	t.Cleanup(r.end)
	return r
}

// await waits until a condition holds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestRunEnds: an agent that ends by itself is told with its last words, and what it took before counts after a restart.
func TestRunEnds(t *testing.T) {
	r := shell(t, "echo no port free >&2; exit 3")
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	await(t, "it ends", func() bool { return r.alive() != nil })
	if err := r.alive(); !strings.Contains(err.Error(), "no port free") || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}

	r = shell(t, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; exec sleep 600")
	for range 2 {
		if err := r.start(); err != nil {
			t.Fatal(err)
		}
		before := strings.Count(r.said(), "done")
		await(t, "it has worked", func() bool { return strings.Count(r.said(), "done") > before })
		cpu, peak, err := r.took()
		if err != nil || cpu < r.ended+0.01 || peak <= 0 {
			t.Errorf("%g s, %g bytes, %v", cpu, peak, err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}
	if r.ended < 0.02 || r.peak <= 0 {
		t.Errorf("both took %g s, %g bytes", r.ended, r.peak)
	}
	if _, err := os.Stat(r.dir); err != nil {
		t.Error(err)
	}
	if r.end(); r.cmd != nil {
		t.Error("it is still there")
	}
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("its files are still there")
	}
}

// TestSinks: lines of a pipe, of a port and of a file are counted, or known by number.
func TestSinks(t *testing.T) {
	const text = mark + "0 stdout 1 x\n" + mark + "0 stdout 2 x\n"
	for _, keep := range []bool{false, true} {
		for _, how := range []string{"pipe", "port", "file"} {
			r := shell(t, "printf '"+strings.ReplaceAll(text, "\n", `\n`)+"'; exec sleep 600")
			if keep {
				r.tally = newTally(1, 1, 1, 2)
			}
			switch how {
			case "pipe":
				r.pipe = true
			case "port":
				addr, err := r.listen()
				if err != nil {
					t.Fatal(err)
				}
				host, port, _ := strings.Cut(addr, ":")
				r.program, r.args = "/bin/bash", []string{"-c", "exec 3>/dev/tcp/" + host + "/" + port + "; " + strings.Replace(r.args[1], "';", "' >&3;", 1)}
			case "file":
				r.out = filepath.Join(r.dir, "out")
				r.args[1] = strings.Replace(r.args[1], "';", "' >out; echo events=1 events=2 >&2;", 1)
				r.lastIn(r.log(), `events=([0-9]+)`)
			}
			if err := r.start(); err != nil {
				t.Fatal(err)
			}
			await(t, how, func() bool {
				n, left, err := r.arrived(context.Background(), 2)
				if err != nil || r.alive() != nil {
					t.Fatal(err, r.alive())
				}
				return n == 2 && left == 0
			})
			r.end()
		}
	}
}
