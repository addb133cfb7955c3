package capture

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// fdCount counts the open file descriptors of the process. It keeps the
// directory that lists them open: with none free, opening it would be what
// fails first.
type fdCount struct {
	mu   sync.Mutex
	dir  *os.File // of /proc/self/fd, nil while it cannot be opened; guarded by mu
	last int      // guarded by mu
	shut bool     // closed for good; guarded by mu
}

// count is how many are open now. With an error it is how many there were when
// they could be counted last.
func (c *fdCount) count() (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shut {
		return c.last, nil
	}
	n := 0
	err := c.each(func(string) { n++ })
	switch {
	case err == nil:
		c.last = n
	case errors.Is(err, unix.EMFILE):
		c.last, err = processLimit(), nil // that is what it says
	}
	return c.last, err
}

// timers is how many of them are timers of the kernel. Fluent Bit has one for
// each chunk that waits for another attempt, the capture has none.
func (c *fdCount) timers() (n int) {
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
func (c *fdCount) each(f func(name string)) error {
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

func (c *fdCount) close() {
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

// fdLimits is above how many open descriptors there is a warning, and the guard
// acts, in a process that may have most: what the options say, or 500 and 800 of
// each 1,024.
func fdLimits(cfg *Config, most int) (warn, limit int) {
	if limit = most * 800 / 1024; cfg.FDLimit != 0 {
		limit = min(cfg.FDLimit, most*8/10)
	}
	if warn = limit * 500 / 800; cfg.FDWarn != 0 {
		warn = min(cfg.FDWarn, limit)
	}
	return warn, limit
}
