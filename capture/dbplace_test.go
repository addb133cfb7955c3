package capture_test

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/dockertest"
)

// smallDisk mounts a file system of its own.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// bindFile mounts a file over another by itself, as `-v file:file` does.
func bindFile(t *testing.T, file, over string) {
	t.Helper()
	must(t, os.WriteFile(over, nil, 0o600))
	if err := unix.Mount(file, over, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("a file cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(over, unix.MNT_DETACH)) })
}

// Where the positions of an earlier start are known and cannot be saved any more,
// the capture goes on behind them, says why, is not ready, and saves them as soon
// as that can be.
func TestPlaceThatCannotBeWritten(t *testing.T) {
	for name, place := range map[string]struct {
		says        string
		spoil, heal func(t *testing.T, dir string)
	}{
		"full disk": {"no space left on device",
			func(t *testing.T, dir string) {
				f, err := os.Create(filepath.Join(dir, "filler"))
				must(t, err)
				for err == nil {
					_, err = f.Write(make([]byte, 1024))
				}
				must(t, f.Close())
			},
			func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "filler"))) },
		},
		"read-only disk": {"read-only file system",
			func(t *testing.T, dir string) {
				must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=64k"))
			},
			func(t *testing.T, dir string) { must(t, unix.Mount("", dir, "", unix.MS_REMOUNT, "size=64k")) },
		},
	} {
		for _, stopped := range []string{"killed", "stopped"} {
			t.Run(name+"/"+stopped, func(t *testing.T) {
				dir := smallDisk(t)
				e := dockertest.Start(t)
				opts := map[string]string{"DB": filepath.Join(dir, "positions.json"), "DB_Sync": "100ms", "Start_From": "now"}
				a := startAgent(t, e.Host(), opts)
				a.connected()
				c := e.Run(dockertest.Container{Name: "web"})
				c.Stdout("one")
				a.waitRecords(1)
				a.waitFor("the position to be saved", func() bool {
					b, err := os.ReadFile(opts["DB"])
					return err == nil && strings.Contains(string(b), c.ID)
				})
				if stopped == "killed" {
					a.waitFor("the line to be in the journal, or in what follows it", func() bool {
						b, _ := os.ReadFile(opts["DB"])
						j, err := os.ReadFile(opts["DB"] + ".journal")
						return err == nil && strings.Contains(string(b)+string(j), `"hash"`)
					})
					a.cancel()
					<-a.done
					a.stopped = true
					a.col.Abandon() // as the kernel does
					must(t, a.col.API().Close())
					a.col.Guard().Close()
				} else {
					a.stop()
				}
				place.spoil(t, dir)
				c.Stdout("two")

				b := startAgent(t, e.Host(), opts)
				b.waitLog("positions were read from DB")
				b.waitRecords(1)
				b.waitLog("saving the positions failed")
				b.waitLog(place.says)
				b.waitFor("the health to tell", func() bool { return !b.col.Health().Ready })
				if p := strings.Join(b.col.Health().Problems, ";"); !strings.Contains(p, "the positions cannot be saved in DB") {
					t.Errorf("problems: %s", p)
				}
				if text := b.log.String(); strings.Contains(text, "some lines come twice") || strings.Contains(text, "set aside") {
					t.Errorf("it was read, and it says\n%s", text)
				}
				c.Stdout("three")
				b.waitRecords(2)
				checkSequence(t, "lines", []string{"two", "three"}, b.texts(c.ID, ""))
				place.heal(t, dir)
				b.waitLog("saving the positions works again")
				b.stop()

				c.Stdout("four")
				d := startAgent(t, e.Host(), opts)
				d.waitRecords(1)
				checkSequence(t, "lines", []string{"four"}, d.texts(c.ID, ""))
				d.stop() // a save has a file of its own while it writes
				left, _ := filepath.Glob(filepath.Join(dir, ".*"))
				if len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	}
}

// A file that is mounted by itself can be replaced by nobody: what it holds is
// used, and that it cannot be written is said, with what to do.
func TestMountedDB(t *testing.T) {
	e := dockertest.Start(t)
	dir := t.TempDir()
	outside, inside := filepath.Join(dir, "outside.json"), filepath.Join(dir, "inside.json")
	a := startAgent(t, e.Host(), map[string]string{"DB": outside, "Start_From": "now"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitRecords(1)
	a.stop()
	before, err := os.ReadFile(outside)
	must(t, err)
	bindFile(t, outside, inside)

	c.Stdout("two")
	b := startAgent(t, e.Host(), map[string]string{"DB": inside, "Start_From": "now", "DB_Sync": "100ms"})
	b.waitRecords(1)
	checkSequence(t, "lines", []string{"two"}, b.texts(c.ID, ""))
	b.waitLog("saving the positions failed")
	b.waitLog("a file that is mounted by itself cannot be replaced, mount its directory")
	if p := strings.Join(b.col.Health().Problems, ";"); !strings.Contains(p, "the positions cannot be saved in DB") {
		t.Errorf("problems: %s", p)
	}
	b.stopIgnoringErrors()
	if after, err := os.ReadFile(outside); err != nil || string(after) != string(before) {
		t.Errorf("the file holds %s, %v", after, err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}

	// One that is empty, as it has to be made before it is mounted.
	must(t, os.WriteFile(outside, nil, 0o600))
	f := startAgent(t, e.Host(), map[string]string{"DB": inside, "DB_Sync": "100ms"})
	f.waitLog("mount its directory")
	f.connected()
	c.Stdout("three")
	f.waitRecords(1)
	f.stopIgnoringErrors()
}

// A lock that another user has made, with whatever umask, is no obstacle; one that
// is held is, whoever asks.
func TestLockOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	dir := t.TempDir()
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
	db := filepath.Join(dir, "db.json")
	e := dockertest.Start(t)
	must(t, e.SetSocketMode(0o666))
	must(t, os.Chmod(filepath.Dir(e.Socket()), 0o755))
	mask := unix.Umask(0o077)
	root, _, err := checkpoint.Open(db, slog.New(slog.DiscardHandler))
	unix.Umask(mask)
	must(t, err)
	defer dockertest.AsNobody(t)()
	if _, err := capture.New(testConfig(t, e.Host(), map[string]string{"DB": db}), slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func() {}); err == nil || !strings.Contains(err.Error(), "another instance uses it") {
		t.Errorf("held by another: %v", err)
	}
	must(t, root.Close())
	a := startAgent(t, e.Host(), map[string]string{"DB": db, "DB_Sync": "100ms"})
	a.connected()
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout("one")
	a.waitRecords(1)
	a.stop()
	if b, err := os.ReadFile(db); err != nil || !strings.Contains(string(b), c.ID) {
		t.Errorf("it holds %s, %v", b, err)
	}
	if strings.Contains(a.log.String(), "cannot be saved") {
		t.Errorf("it says\n%s", a.log)
	}
}

// A link to a file that is not there yet is followed as well: the file is made
// where it leads, and the lock lies beside it.
func TestLinkThatLeadsNowhereYet(t *testing.T) {
	top := t.TempDir()
	volume := filepath.Join(top, "volume")
	must(t, os.Mkdir(volume, 0o700))
	must(t, os.Symlink(volume, filepath.Join(top, "dir")))
	must(t, os.Symlink("dir/../volume/db.json", filepath.Join(top, "relative")))
	must(t, os.Symlink(filepath.Join(top, "relative"), filepath.Join(top, "absolute")))
	for _, link := range []string{"relative", "absolute"} {
		e := dockertest.Start(t)
		a := startAgent(t, e.Host(), map[string]string{"DB": filepath.Join(top, link)})
		a.connected()
		a.stop()
		if st, err := os.Lstat(filepath.Join(top, link)); err != nil || st.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v, %v", link, st, err)
		}
		names, err := filepath.Glob(volume + "/*")
		if have := fmt.Sprint(names); err != nil || have != fmt.Sprint([]string{volume + "/db.json", volume + "/db.json.lock"}) {
			t.Errorf("%s: the volume has %s, %v", link, have, err)
		}
		must(t, os.Remove(volume+"/db.json"))
	}
	must(t, os.Symlink("loop", filepath.Join(top, "loop")))
	if _, err := parse(map[string]string{"DB": filepath.Join(top, "loop")}); err == nil {
		_, _, err = checkpoint.Open(filepath.Join(top, "loop"), slog.New(slog.DiscardHandler))
		if err == nil {
			t.Error("a link to itself is accepted")
		}
	}
}
