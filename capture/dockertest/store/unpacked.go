package store

import (
	"slices"

	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// unpacked are the rotated files that were unpacked, by their numbers.
// Engine 20.10 and older unpack them for a log request where they are compressed; 1 is the newest. All requests share them, until the last
// one that uses a file of that number lets it go: so a request that is sent slowly, or not read at all, has the others be shown the files
// of then in the place of those of now (daemon/logger/loggerutils/logfile.go, filesRefCounter).
type unpacked map[int]*unpackedFile

type unpackedFile struct {
	recs  []wire.Record
	users int
}

// take is what a log request is shown of the rotated files.
// They come oldest first. stale says that it is something else than what they hold, used is to be let go afterwards. files are what they
// hold by their numbers, nil where there is none.
func (u unpacked) take(files [][]wire.Record) (shown []wire.Record, stale bool, used []*unpackedFile) {
	for n := len(files) - 1; n > 0; n-- {
		f := u[n]
		switch {
		case f == nil && files[n] == nil:
			continue
		case f == nil:
			f = &unpackedFile{recs: slices.Clone(files[n])}
			u[n] = f
		}
		f.users++
		used = append(used, f)
		shown = append(shown, f.recs...)
		stale = stale || len(f.recs) != len(files[n]) || len(f.recs) > 0 && f.recs[0].TS != files[n][0].TS
	}
	return shown, stale, used
}

// letGo gives back what a log request has used.
func (u unpacked) letGo(used []*unpackedFile) {
	for _, f := range used {
		f.users--
	}
	for n, f := range u {
		if f.users == 0 {
			delete(u, n)
		}
	}
}
