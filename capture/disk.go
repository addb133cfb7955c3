package capture

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	diskEvery = 15 * time.Second // between two looks
	// A chunk that waits is closed: until one was seen, which is soon where lines
	// flow, looks are more frequent.
	chunkEvery = time.Second
	chunkSoon  = time.Minute
	// A disk is nearly full with less than this part of it free, if that is not
	// much: Fluent Bit counts records that it then cannot write as if it had.
	diskPart = 20
	diskLeft = 256 << 20
)

// disks are the file systems of DB and of Fluent Bit's chunks. Fluent Bit tells
// nobody where these are; they are seen once a chunk is open.
type disks struct {
	db       string // a directory
	fds      string // the descriptors of the process
	statfs   func(path string, s *unix.Statfs_t) error
	began    time.Time // of the task that saves, as lookedAt
	lookedAt time.Time

	mu    sync.Mutex
	space []diskSpace // guarded by mu: as of the last look
}

// diskSpace is how much room there is on a disk, in bytes.
type diskSpace struct {
	of         string // db or storage
	dir        string
	free, size uint64
}

func newDisks(db string) *disks {
	return &disks{db: filepath.Dir(db), fds: "/proc/self/fd", statfs: unix.Statfs}
}

func (s *diskSpace) nearlyFull() bool { return s.free < min(s.size/diskPart, diskLeft) }

// look sees how full they are, and says when one of them is nearly full: best
// when records were committed, that is when there is a chunk. It hangs where a
// file system does.
func (d *disks) look(log *slog.Logger) {
	now, pace := time.Now(), diskEvery
	if d.began.IsZero() {
		d.began = now
	} else if len(d.each()) < 2 && now.Sub(d.began) < chunkSoon {
		pace = chunkEvery
	}
	if !d.lookedAt.IsZero() && now.Sub(d.lookedAt) < pace {
		return
	}
	d.lookedAt = now
	var space []diskSpace
	for _, s := range []diskSpace{{of: "db", dir: d.db}, {of: "storage", dir: d.storage()}} {
		var fs unix.Statfs_t
		if s.dir == "" || d.statfs(s.dir, &fs) != nil || fs.Bsize <= 0 || fs.Blocks == 0 {
			continue
		}
		s.free, s.size = fs.Bavail*uint64(fs.Bsize), fs.Blocks*uint64(fs.Bsize)
		space = append(space, s)
	}
	was := d.nearlyFull() != ""
	d.mu.Lock()
	d.space = space
	d.mu.Unlock()
	switch text := d.nearlyFull(); {
	case text != "" && !was:
		log.Error("a disk is nearly full: what Fluent Bit cannot write into its chunks is lost", "disk", text)
	case text == "" && was:
		log.Info("the disk has room again")
	}
}

// storage is the directory of a chunk that is open, "" if there is none.
func (d *disks) storage() string {
	for _, s := range d.each() {
		if s.of == "storage" {
			return s.dir // chunks come and go
		}
	}
	fds, err := os.ReadDir(d.fds)
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if name, err := os.Readlink(filepath.Join(d.fds, fd.Name())); err == nil && strings.HasSuffix(name, ".flb") {
			return filepath.Dir(name)
		}
	}
	return ""
}

// each is how full they were at the last look.
func (d *disks) each() []diskSpace {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.space
}

// nearlyFull names the disks that are, "" if none is.
func (d *disks) nearlyFull() string {
	var all []string
	for _, s := range d.each() {
		if s.nearlyFull() {
			all = append(all, fmt.Sprintf("%s has %d MB of %d MB free", s.dir, s.free>>20, s.size>>20))
		}
	}
	return strings.Join(all, ", ")
}
