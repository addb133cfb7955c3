package capture_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/dockertest"
)

func dbOptions(t *testing.T, more map[string]string) map[string]string {
	opts := map[string]string{"DB": filepath.Join(t.TempDir(), "positions.json"), "DB_Sync": "100ms"}
	for k, v := range more {
		opts[k] = v
	}
	return opts
}

// Whenever the agent stops, whatever of its records Fluent Bit then drops:
// the next one goes on exactly behind the last record that was acknowledged.
func TestRestartIsExact(t *testing.T) {
	for _, tty := range []bool{false, true} {
		t.Run(fmt.Sprint("tty=", tty), func(t *testing.T) {
			e := dockertest.Start(t)
			opts := dbOptions(t, nil)
			c := e.Create(dockertest.Container{Name: "web", TTY: tty})
			long := strings.Repeat("0123456789", 4000)
			const rounds, each = 12, 400
			var all []string
			written := func(i int) (lines []string) {
				for n := i * each; n < (i+1)*each; n++ {
					line := fmt.Sprint("out ", n)
					if n%50 == 0 {
						line += long
					}
					lines = append(lines, line)
				}
				return lines
			}
			var have, haveErr []string
			for i := range rounds {
				a := startAgent(t, e.Host(), opts)
				a.connected()
				if i == 0 {
					c.Start()
				}
				c.Stdout(written(i)...)
				c.Write(dockertest.Stdout, []byte("half "+long)) // incomplete while the agent stops
				if !tty {
					c.Stderr(sequence("err", i*each, (i+1)*each)...)
				}
				if i%3 == 0 {
					a.waitTexts(c.ID, "stdout", each/2)
				}
				a.loseFromNow()
				c.Write(dockertest.Stdout, []byte("rest\n"))
				if i%3 == 1 {
					must(t, c.WaitFollowers(testContext(t), 1))
					must(t, c.WaitSent(testContext(t)))
				}
				a.stop()
				have = append(have, a.texts(c.ID, "stdout")...)
				haveErr = append(haveErr, a.texts(c.ID, "stderr")...)
				all = append(all, append(written(i), "half "+long+"rest")...)
			}
			a := startAgent(t, e.Host(), opts)
			a.waitTexts(c.ID, "stdout", len(all)-len(have))
			if !tty {
				a.waitTexts(c.ID, "stderr", rounds*each-len(haveErr))
				checkSequence(t, "stderr", sequence("err", 0, rounds*each), append(haveErr, a.texts(c.ID, "stderr")...))
			}
			checkSequence(t, "stdout", all, append(have, a.texts(c.ID, "stdout")...))
			if strings.Contains(a.log.String(), "gap") {
				t.Error("a gap was reported")
			}
		})
	}
}

// A line that was cut at Max_Line_Size before the restart does not go on as a
// line of its own after it.
func TestRestartInTheRestOfACutLine(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Max_Line_Size": "32k"})
	a := startAgent(t, e.Host(), opts)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	long := strings.Repeat("x", 100000)
	c.Write(dockertest.Stdout, []byte(long))
	a.waitRecords(1)
	a.stop()
	c.Write(dockertest.Stdout, []byte(long+"end\nnext\n"))
	b := startAgent(t, e.Host(), opts)
	b.waitRecords(1)
	checkSequence(t, "lines", []string{long[:32<<10], "next"}, append(a.texts(c.ID, ""), b.texts(c.ID, "")...))
}

// The whole matrix of Start_From and what DB holds.
func TestStartPolicy(t *testing.T) {
	old, down, now := sequence("old", 0, 10), sequence("down", 0, 10), sequence("new", 0, 3)
	join := func(parts ...[]string) (all []string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, from := range []string{"now", "beginning", "1h", "tail:5"} {
		first := map[string][]string{ // what a first start delivers of a container that already ran
			"now":       now,
			"beginning": join(old, down, now),
			"1h":        join(old, down, now),
			"tail:5":    join(down[5:], now),
		}[from]
		for _, test := range []struct {
			db   string
			want []string
		}{
			{"no file", first},
			{"entry", join(down, now)},
			{"no entry", first},
			{"damaged", first},
			{"future version", first},
			{"empty", first},
		} {
			t.Run(from+"/"+test.db, func(t *testing.T) {
				e := dockertest.Start(t)
				opts := dbOptions(t, map[string]string{"Start_From": from})
				var c *dockertest.Ctr
				if test.db == "entry" {
					a := startAgent(t, e.Host(), opts)
					a.connected()
					c = e.Run(dockertest.Container{Name: "web"})
					c.Stdout(old...)
					a.waitRecords(len(old))
					a.stop()
				} else {
					c = e.Run(dockertest.Container{Name: "web"})
					c.Stdout(old...)
				}
				content := map[string]string{
					"damaged":        `{"version": 1, "containers": {"x`,
					"future version": `{"version": 99}`,
					"empty":          "",
					"no entry":       fmt.Sprintf(`{"version": 1, "first_start": %q, "containers": {}}`, time.Now().Add(time.Minute).Format(time.RFC3339)),
				}
				if text, ok := content[test.db]; ok {
					must(t, os.WriteFile(opts["DB"], []byte(text), 0o600))
				}
				c.Stdout(down...)
				a := startAgent(t, e.Host(), opts)
				a.connected()
				must(t, c.WaitFollowers(testContext(t), 1))
				c.Stdout(now...)
				a.waitRecords(len(test.want))
				checkSequence(t, "lines", test.want, a.texts(c.ID, ""))
				aside, _ := filepath.Glob(opts["DB"] + ".damaged-*")
				bad := test.db == "damaged" || test.db == "future version" || test.db == "empty"
				if bad != (len(aside) == 1) || bad != strings.Contains(a.log.String(), "set aside") {
					t.Errorf("set aside: %q", aside)
				}
			})
		}
	}
}

// What happened while the agent was down, of containers with and without an
// entry.
func TestContainersChangedWhileDown(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, nil)
	idle := e.Run(dockertest.Container{Name: "idle"})
	idle.Stdout("before the first start")
	stopped := e.Run(dockertest.Container{Name: "stopped"})
	stopped.Stdout("before the first start")
	stopped.Stop()
	a := startAgent(t, e.Host(), opts)
	a.connected()
	runs := e.Run(dockertest.Container{Name: "runs"})
	runs.Stdout("one")
	a.waitRecords(1)
	a.stop()

	runs.Stdout("two")
	runs.Stop()
	idle.Stdout("first of idle")
	stopped.Start()
	stopped.Stdout("first of stopped")
	fresh := e.Run(dockertest.Container{Name: "fresh"})
	fresh.Stdout("first of fresh")
	fresh.Stop()

	b := startAgent(t, e.Host(), opts)
	b.waitRecords(4)
	for c, want := range map[*dockertest.Ctr]string{runs: "two", idle: "first of idle", stopped: "first of stopped", fresh: "first of fresh"} {
		checkSequence(t, c.Name(), []string{want}, b.texts(c.ID, ""))
	}
}

func TestTwoOwnersAreRefused(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, nil)
	a := startAgent(t, e.Host(), opts)
	a.connected()
	_, err := capture.New(testConfig(t, e.Host(), opts), slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func() {})
	if err == nil || !strings.Contains(err.Error(), opts["DB"]) || !strings.Contains(err.Error(), "option DB") {
		t.Errorf("a second owner: %v", err)
	}
	a.stop()
	c, err := capture.New(testConfig(t, e.Host(), opts), slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func() {})
	if err != nil {
		t.Fatalf("after the first has stopped: %v", err)
	}
	must(t, c.Close())
}

// Where DB cannot be written capture goes on, and the positions are saved when
// it can.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 64<<10), 0o600)
	e := dockertest.Start(t)
	db := filepath.Join(dir, "positions.json")
	a := startAgent(t, e.Host(), map[string]string{"DB": db, "DB_Sync": "100ms"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitRecords(1)
	a.waitLog("saving the positions")
	must(t, os.Remove(filler))
	a.waitFor("the positions to be saved", func() bool {
		b, err := os.ReadFile(db)
		return err == nil && strings.Contains(string(b), c.ID)
	})
	a.waitLog("works again")
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestUnwritablePlace(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"DB": "/proc/positions.json", "DB_Sync": "100ms"})
	a.connected()
	e.Run(dockertest.Container{Name: "web"}).Stdout("one")
	a.waitRecords(1)
	a.waitLog("positions cannot be saved")
	a.stopIgnoringErrors()
}

// The file is for people too.
func TestCheckpointIsReadable(t *testing.T) {
	e := dockertest.Start(t)
	opts := dbOptions(t, nil)
	a := startAgent(t, e.Host(), opts)
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("out", 0, 20)...)
	a.waitRecords(20)
	a.stop()
	b, err := os.ReadFile(opts["DB"])
	must(t, err)
	var cp checkpoint.Content
	must(t, json.Unmarshal(b, &cp))
	saved := cp.Containers[c.ID]
	if cp.Version != 1 || saved.Name != "web" || saved.Position.From != "anchor" || len(saved.Position.Marks) != checkpoint.SavedMarks {
		t.Errorf("%s", b)
	}
	if st, _ := os.Stat(opts["DB"]); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
}

// A DB that is a link is written where it leads.
func TestLinkedDB(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	e := dockertest.Start(t)
	for range 2 {
		a := startAgent(t, e.Host(), map[string]string{"DB": file})
		a.connected()
		a.stop()
		if _, err := os.Lstat(link); err != nil {
			must(t, os.Symlink(file, link))
		}
		before, err := os.ReadFile(file)
		must(t, err)
		b := startAgent(t, e.Host(), map[string]string{"DB": link})
		b.connected()
		e.Run(dockertest.Container{}).Stdout("line")
		b.waitRecords(1)
		b.stop()
		st, err := os.Lstat(link)
		must(t, err)
		after, err := os.ReadFile(file)
		must(t, err)
		if st.Mode()&os.ModeSymlink == 0 || string(before) == string(after) {
			t.Errorf("the link is %v, the file changed: %v", st.Mode(), string(before) != string(after))
		}
	}
}
