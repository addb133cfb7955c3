package capture

import (
	"os"
	"path/filepath"
	"testing"
)

// What the kernel has told is counted although nobody passed it on yet.
func TestWatcherCatchesUp(t *testing.T) {
	w, err := newWatcher() // it does not run
	must(t, err)
	defer w.close()
	path := filepath.Join(t.TempDir(), "log")
	wake := make(chan struct{}, 1)
	c, err := w.count(path, wake)
	must(t, err)
	for range 1000 {
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, os.Rename(path, path+".1"))
	}
	w.catchUp()
	if n := c.n.Load(); n != 1000 {
		t.Errorf("%d of 1000 files are counted", n)
	}
	w.catchUp() // and does not wait
	w.endCount(c)
}
