package fdguard

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// counter counts the open file descriptors of the process. It keeps the
// directory that lists them open: with none free, opening it would be what
// fails first.
type counter struct {
	mu   sync.Mutex
	dir  *os.File // of /proc/self/fd, nil while it cannot be opened; guarded by mu
	last int      // guarded by mu
	shut bool     // closed for good; guarded by mu
	// sized says that the size of the directory is how many it lists: Linux 6.2 and
	// later (fs/proc/fd.c, proc_fd_getattr). Guarded by mu.
	sized bool
}

// count is how many are open now. With an error it is how many there were when
// they could be counted last.
func (c *counter) count() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return c.last, nil
	}
	n, err := c.listed()
	switch {
	case err == nil:
		c.last = n
	case errors.Is(err, unix.EMFILE):
		c.last, err = processLimit(), nil // that is what it says
	}
	return c.last, err
}

// listed is how many the directory lists. Listing them takes a millisecond with a
// thousand, so the size is asked where it tells that; it is believed once it was right.
func (c *counter) listed() (n int, err error) {
	if c.sized {
		if size := c.size(); size > 0 {
			return size, nil
		}
	}
	err = c.each(func(string) { n++ })
	c.sized = err == nil && n > 0 && c.size() == n
	return n, err
}

// size is that of the directory, 0 if it tells nothing.
func (c *counter) size() int {
	var s unix.Stat_t
	if c.dir == nil || unix.Fstat(int(c.dir.Fd()), &s) != nil {
		return 0
	}
	return int(s.Size)
}

// timers is how many of them are timers of the kernel. Fluent Bit has one for
// each chunk that waits for another attempt, the capture has none.
func (c *counter) timers() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf := make([]byte, 32)
	_ = c.each(func(name string) { // as far as they can be told
		if k, err := unix.Readlinkat(int(c.dir.Fd()), name, buf); err == nil && string(buf[:k]) == "anon_inode:[timerfd]" {
			n++
		}
	})
	return n
}

// each calls f with the name of each open descriptor. c.mu is held.
func (c *counter) each(f func(name string)) error {
	if c.dir == nil {
		dir, err := os.Open("/proc/self/fd")
		if err != nil {
			return err
		}
		c.dir = dir
	}
	if _, err := c.dir.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for {
		names, err := c.dir.Readdirnames(1024)
		for _, name := range names {
			f(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (c *counter) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut = true
	if c.dir != nil {
		_ = c.dir.Close() // it was only read
		c.dir = nil
	}
}

// mostFDs is taken for the limit of a process that has none: more than this the
// kernel does not allow by default.
const mostFDs = 1 << 20

// processLimit is how many descriptors the process may have open.
func processLimit() int {
	var rl unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil || rl.Cur > mostFDs {
		return mostFDs
	}
	return int(rl.Cur)
}

// limits is above how many open descriptors there is a warning, and the guard
// acts, in a process that may have most: what the options say, or 500 and 800 of
// each 1,024.
func limits(optWarn, optLimit, most int) (warn, limit int) {
	if limit = most * 800 / 1024; optLimit != 0 {
		limit = min(optLimit, most*8/10)
	}
	if warn = limit * 500 / 800; optWarn != 0 {
		warn = min(optWarn, limit)
	}
	return warn, limit
}
