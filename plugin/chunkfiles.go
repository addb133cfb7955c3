package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// chunkFiles finds out whether the chunks of an input are files: Fluent Bit
// tells no plugin its storage.type. One is open while it is written.
type chunkFiles struct {
	fds   string // the descriptors of the process
	input string
	began time.Time // of the input
	seen  bool
}

// look reports whether a chunk of the input was seen to be a file by now. Its
// name is that of the process, and when it was made: one that was left behind
// by another configuration says nothing.
func (c *chunkFiles) look() bool {
	if c.seen {
		return true
	}
	fds, err := os.ReadDir(c.fds)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		path, err := os.Readlink(filepath.Join(c.fds, fd.Name()))
		if err != nil || filepath.Ext(path) != ".flb" || filepath.Base(filepath.Dir(path)) != c.input {
			continue
		}
		var pid int
		var sec, nsec int64
		_, err = fmt.Sscanf(filepath.Base(path), "%d-%d.%d.flb", &pid, &sec, &nsec)
		if err == nil && pid == os.Getpid() && !time.Unix(sec, nsec).Before(c.began) {
			c.seen = true
			return true
		}
	}
	return false
}
