package store

import (
	"slices"

	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// records are what is kept of a log. They are numbered as they came.
type records struct {
	recs      []wire.Record
	base      uint64 // number of records forgotten = number of recs[0]
	arena     []byte
	retention int // how many are kept, 0: all
}

// end is the number of the next record.
func (l *records) end() uint64 { return l.base + uint64(len(l.recs)) }

// add copies the record in.
func (l *records) add(r wire.Record) {
	if cap(l.arena)-len(l.arena) < len(r.Data) {
		l.arena = make([]byte, 0, max(len(r.Data), min(2*cap(l.arena), 256<<10), 512))
	}
	from := len(l.arena)
	l.arena = append(l.arena, r.Data...)
	r.Data = l.arena[from:len(l.arena):len(l.arena)]
	l.recs = append(l.recs, r)
	if l.retention > 0 && len(l.recs) > l.retention {
		l.forget(len(l.recs) - l.retention)
	}
}

// forget drops the n oldest.
func (l *records) forget(n int) {
	n = min(n, len(l.recs))
	clear(l.recs[:n])
	l.recs = l.recs[n:]
	l.base += uint64(n)
}

// last are copies of the last n.
func (l *records) last(n int) []wire.Record {
	return slices.Clone(l.recs[len(l.recs)-min(n, len(l.recs)):])
}

// lines are what a tail of n gives with Podman.
func (l *records) lines(n int) (tail []wire.Record) {
	for _, r := range l.recs {
		if k := len(tail) - 1; k >= 0 && r.Data[len(r.Data)-1] != '\n' {
			tail[k].Data = podman.Glue(tail[k].Data, r.Data)
			continue
		}
		tail = append(tail, r)
	}
	return tail[max(0, len(tail)-n):]
}

// rotated are the records of rotated files, by their numbers. 1 is the newest of at most files-1. counts are those of
// all files, the current one last.
func (l *records) rotated(files int, counts []int) [][]wire.Record {
	of := make([][]wire.Record, files)
	to := len(l.recs) - counts[len(counts)-1]
	for n := 1; n < files && n < len(counts); n++ {
		from := max(0, to-counts[len(counts)-1-n])
		of[n], to = l.recs[from:to:to], from
	}
	return of
}
