package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// TestMigrate: tail reads a part of containers' logs and is stopped, docker_logs goes on: each line once over both, in a log that
// the Engine rotates meanwhile, too.
func TestMigrate(t *testing.T) {
	bin := needFluentBit(t)
	if _, err := debian.Program(t.Context(), "sqlite3", "sqlite3"); err != nil {
		t.Skip(err)
	}
	migrate := filepath.Join(t.TempDir(), "migrate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", migrate, "../../conf/migrate").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		info, err := e.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		logOf := func(c *enginetest.Container) string {
			return filepath.Join(info.DockerRootDir, "containers", c.ID, c.ID+"-json.log")
		}
		name := unique("migrate")
		create := func(kind string, logOpts map[string]string) *enginetest.Container {
			return e.New(t, enginetest.Options{Name: name + "-" + kind, LogOpts: logOpts,
				Args: []string{"-std=both", "-lines=100000000", "-rate=100", "-size=100"}})
		}
		// Tail reads no file that was rotated away before it has met it: it has seconds.
		rotating := create("rotating", map[string]string{"max-size": "300k", "max-file": "100"})
		all := []*enginetest.Container{rotating, create("plain", nil)}

		dir := t.TempDir()
		out, db := filepath.Join(dir, "tailed"), filepath.Join(dir, "tail.db")
		conf := fmt.Sprintf("[SERVICE]\n    Flush 0.2\n    Grace 10\n    Parsers_File %s/parsers.conf\n[INPUT]\n    Name tail\n    Path %s,%s\n    DB %s\n"+
			"    Tag docker.*\n    Parser docker\n    Path_Key file\n    Read_from_Head On\n    Refresh_Interval 1\n[OUTPUT]\n    Name file\n    Match *\n    File %s\n",
			dir, logOf(all[0]), logOf(all[1]), db, out)
		for file, text := range map[string]string{"tail.conf": conf,
			"parsers.conf": "[PARSER]\n    Name docker\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L%z\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tailing := exec.Command(bin.path, "-c", filepath.Join(dir, "tail.conf"))
		tailing.Stdout, tailing.Stderr = t.Output(), t.Output()
		if err := tailing.Start(); err != nil {
			t.Fatal(err)
		}
		ended := false
		defer func() {
			if !ended {
				_ = tailing.Process.Kill()
				_ = tailing.Wait()
			}
		}()
		for _, c := range all {
			c.Start()
		}
		poll(t, "tail has read a part of both", func() bool {
			text, err := os.ReadFile(out)
			return err == nil && bytes.Count(text, []byte(all[0].ID+"-json.log\"")) > 200 && bytes.Count(text, []byte(all[1].ID+"-json.log\"")) > 200
		})
		ours := filepath.Join(dir, "positions.json")
		said, err := exec.CommandContext(t.Context(), migrate, "-tail", db, "-db", ours).CombinedOutput()
		if want := fmt.Sprintf("in use by process %d", tailing.Process.Pid); err == nil || !strings.Contains(string(said), want) {
			t.Errorf("while tail reads: %v, %s", err, said)
		}
		if err := tailing.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := tailing.Wait(); err != nil {
			t.Fatal(err)
		}
		ended = true
		before, err := os.Stat(logOf(rotating))
		if err != nil {
			t.Fatal(err)
		}
		poll(t, "the log is rotated while nobody reads", func() bool {
			fi, err := os.Stat(logOf(rotating))
			return err == nil && !os.SameFile(fi, before)
		})

		said, err = exec.CommandContext(t.Context(), migrate, "-tail", db, "-db", ours).CombinedOutput()
		t.Logf("%s", said)
		if err != nil || strings.Contains(string(said), "note:") {
			t.Fatalf("%v: tail was stopped in order, and has met both logs", err)
		}
		in := input(e, name+"-*")
		in["DB"], in["Start_From"] = ours, "now"
		in["Tag_Template"] = tagOf(filepath.Dir(filepath.Dir(logOf(rotating))), "<container_id>")
		p := start(t, a, setup{inputs: []options{in}})
		for _, c := range all {
			p.awaitMore(c.ID, 200)
			c.Stop()
		}
		want, counts := wanted(all...)
		got := tailed(t, out, all)
		for _, r := range got {
			counts[r.text("container_id")]--
		}
		p.awaitRecords(counts)
		got = append(got, p.stop()...)
		for i, r := range got {
			if want := tagOf(filepath.Dir(filepath.Dir(logOf(rotating))), r.text("container_id")); r.Tag != want {
				t.Fatalf("the tag is %s, want %s", r.Tag, want)
			}
			got[i].Tag = "docker"
		}
		exact(t, want, arrived(got, "docker"))
	})
}

// tagOf is what tail makes of Tag docker.* for the log of a container.
func tagOf(containers, id string) string {
	return "docker" + strings.ReplaceAll(containers, "/", ".") + "." + id + "." + id + "-json.log"
}

// tailed is what tail has written of the containers, with our keys.
func tailed(t *testing.T, file string, containers []*enginetest.Container) (records []record) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	times := map[string]time.Time{} // of a line: tail's are a nanosecond off now and then, its parser reckons with fractions
	for _, c := range containers {
		names[c.ID] = c.Name
		for _, l := range c.Logs() {
			times[c.ID+l.Std+l.Text] = l.Time
		}
	}
	for line := range strings.Lines(string(text)) {
		r, err := parseRecord(strings.TrimSuffix(line, "\n"))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		id, _, _ := strings.Cut(filepath.Base(r.text("file")), "-json.log")
		r.Fields["container_id"], r.Fields["container_name"] = id, names[id]
		r.Fields["log"] = strings.TrimSuffix(r.text("log"), "\n")
		if exact := times[id+r.text("stream")+r.text("log")]; exact.Sub(r.Time).Abs() <= time.Nanosecond {
			r.Time = exact
		}
		records = append(records, r)
	}
	return records
}

// poll waits for what gives no sign.
func poll(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come: %s", what)
		}
	}
}
