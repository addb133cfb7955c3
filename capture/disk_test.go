package capture

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/testkit"
)

// A disk that is nearly full is said once, and that it has room again; the one
// of the chunks is seen when one is open, and stays known when it is closed.
func TestDisks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := map[string]uint64{"/lib/db": 50 << 30, "/chunks/docker_logs.0": 50 << 30}
		d := newDisks("/lib/db/positions.json")
		d.fds = t.TempDir()
		d.statfs = func(path string, s *unix.Statfs_t) error {
			n, ok := free[path]
			if !ok {
				return unix.ENOENT
			}
			s.Bsize, s.Blocks, s.Bavail = 4096, 100<<30/4096, n/4096
			return nil
		}
		var said bytes.Buffer
		look := func(want int, text string) {
			t.Helper()
			said.Reset()
			time.Sleep(diskEvery)
			d.look(slog.New(slog.NewTextHandler(&said, nil)))
			if n := len(d.each()); n != want || !strings.Contains(said.String(), text) || text == "" && said.Len() > 0 {
				t.Errorf("%d disks, want %d; said %q, want %q", n, want, said.String(), text)
			}
		}
		look(1, "")
		chunk := filepath.Join(d.fds, "12")
		testkit.Must(t, os.Symlink("/chunks/docker_logs.0/1-1.flb", chunk))
		look(2, "")
		testkit.Must(t, os.Remove(chunk))
		free["/chunks/docker_logs.0"] = 100 << 20
		look(2, `a disk is nearly full`)
		if full := d.nearlyFull(); full != "/chunks/docker_logs.0 has 100 MB of 102400 MB free" {
			t.Error(full)
		}
		look(2, "")
		free["/chunks/docker_logs.0"] = 1 << 30 // a hundredth, but much
		look(2, "the disk has room again")
		delete(free, "/chunks/docker_logs.0")
		look(1, "")
	})
}
