package position

import (
	"bytes"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
)

func piece(hash uint64, std uint8) TrailMark {
	return TrailMark{TS: 2, Hash: hash, Size: decode.ChunkSize, std: std}
}

func end(std uint8) TrailMark { return TrailMark{TS: 2, Hash: 9, Size: 5, std: std} }

func line(hash uint64, std uint8) TrailMark { return TrailMark{TS: 1, Hash: hash, Size: 5, std: std} }

// A log that begins within what was delivered is placed by its first record,
// but not by a piece of a long line that may stand for an equal one of it.
func TestPlaceOfTheFirstRecord(t *testing.T) {
	const out, err = decode.Stdout, decode.Stderr
	for name, tc := range map[string]struct {
		marks []TrailMark
		first TrailMark
		want  int
	}{
		"a line":                    {[]TrailMark{line(1, out), line(2, out)}, line(2, out), 1},
		"a line without a time":     {[]TrailMark{line(1, out), {TS: decode.Undated, Hash: 2, Size: 5, std: out}}, TrailMark{TS: decode.Undated, Hash: 2, Size: 5, std: out}, -1},
		"is not there":              {[]TrailMark{line(1, out)}, line(2, out), -1},
		"the one piece of its kind": {[]TrailMark{line(1, out), piece(1, out), piece(2, out), end(out)}, piece(2, out), 2},
		"one of several":            {[]TrailMark{line(1, out), piece(1, out), piece(2, out), piece(2, out), end(out)}, piece(2, out), -1},
		"with another in between":   {[]TrailMark{line(1, out), piece(2, out), piece(1, out), piece(2, out), end(out)}, piece(2, out), -1},
		"with the other std":        {[]TrailMark{line(1, out), piece(2, out), line(3, err), piece(2, out), end(out)}, piece(2, out), -1},
		"the last that came":        {[]TrailMark{line(1, out), piece(1, out), piece(2, out)}, piece(2, out), -1},
		"others may come":           {[]TrailMark{line(1, out), piece(2, out), piece(1, out)}, piece(2, out), -1},
		"the last of its std":       {[]TrailMark{line(1, out), piece(1, out), piece(2, out), line(3, err)}, piece(2, out), -1},
		"others may have come":      {[]TrailMark{line(3, err), piece(2, out), end(out)}, piece(2, out), -1},
	} {
		t.Run(name, func(t *testing.T) {
			if have := (&Trail{Marks: tc.marks}).Place(tc.first); have != tc.want {
				t.Errorf("place %d, not %d", have, tc.want)
			}
		})
	}
}

// A piece that is sent while its line has no end yet may be the next one, also
// where one that is further back is equal: only the log can tell.
func TestPieceLikeAnEarlierOne(t *testing.T) {
	const size = 2 * decode.ChunkSize
	entry := func(b byte, n int, ts int64) *decode.Entry {
		return &decode.Entry{Std: decode.Stdout, TS: ts, Text: bytes.Repeat([]byte{b}, n), Newline: n < decode.ChunkSize}
	}
	first, x, y, last := entry('a', decode.ChunkSize, 2), entry('x', decode.ChunkSize, 2), entry('y', size, 2), entry('x', 7, 2)
	for name, tc := range map[string]struct {
		came []*decode.Entry
		e    *decode.Entry
		want Sighting
	}{
		"another":                     {[]*decode.Entry{first, x}, y, PieceOfLine},
		"as the last":                 {[]*decode.Entry{first, x}, x, DoubtfulRecord},
		"as one further back":         {[]*decode.Entry{first, x, y}, x, DoubtfulRecord},
		"of a line that has its end":  {[]*decode.Entry{first, x, y, last}, x, DoubledRecord},
		"the end of one that has its": {[]*decode.Entry{first, x, y, last}, last, DoubledRecord},
		"of another time":             {[]*decode.Entry{first, x, y}, entry('x', decode.ChunkSize, 3), NewRecord},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &Trail{}
			for _, e := range tc.came {
				m := MarkOf(e)
				tr.Push(&m)
			}
			if have := tr.See(tc.e); have != tc.want {
				t.Errorf("%v, not %v", have, tc.want)
			}
		})
	}
}
