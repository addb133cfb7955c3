package inotify

import (
	"fluent-bit-docker-logs/capture/testkit"
	"os"
	"path/filepath"
	"testing"
)

// What the kernel has told is counted although nobody passed it on yet.
func TestWatcherCatchesUp(t *testing.T) {
	w, err := New() // it does not run
	testkit.Must(t, err)
	defer w.Close()
	path := filepath.Join(t.TempDir(), "log")
	wake := make(chan struct{}, 1)
	c, err := w.Count(path, false, wake)
	testkit.Must(t, err)
	for range 1000 {
		testkit.Must(t, os.WriteFile(path, nil, 0o600))
		testkit.Must(t, os.Rename(path, path+".1"))
	}
	w.CatchUp()
	if n := c.N.Load(); n != 1000 {
		t.Errorf("%d of 1000 files are counted", n)
	}
	w.CatchUp() // and does not wait
	w.EndCount(c)
}
