package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links the kernel follows.
const maxLinks = 40

// followLinks is where a path leads that may be a link, also one to a file that
// is not there yet.
func followLinks(path string) string {
	for range maxLinks {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return path
		}
		path = filepath.Join(dir, filepath.Base(path))
		to, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(to) {
			to = dir + "/" + to
		}
		path = to
	}
	return path
}

// acquire takes the lock. It is a file of its own, since each save replaces
// the checkpoint's.
func (f *File) acquire() error {
	if f.lock != nil {
		return nil
	}
	lock, err := openLock(f.path + ".lock")
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errInUse
		}
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	f.lock = lock
	return nil
}

// openLock opens the file of the lock, which stays there. That another user made
// it, whatever that one's umask is, keeps nobody from the lock who may write here.
func openLock(name string) (*os.File, error) {
	lock, err := os.Open(name) // in a directory like /tmp, to create what is there and another's is refused
	if !errors.Is(err, fs.ErrNotExist) {
		return lock, err
	}
	const mode = 0o644
	if lock, err = os.OpenFile(name, os.O_CREATE|os.O_RDONLY, mode); err == nil { //nolint:gosec // it is empty
		_ = lock.Chmod(mode) // not where it is another's by now
	}
	return lock, err
}

// removeLeftovers deletes what a save left that was killed half way.
func (f *File) removeLeftovers() {
	if f.lock == nil {
		return
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+"[0-9]*"))
	for _, name := range left {
		_ = os.Remove(name)
	}
}
