package position

import (
	"testing"

	"fluent-bit-docker-logs/capture/decode"
)

// A log that begins within what was delivered is placed by its first record,
// but not by a piece of a long line that may stand for an equal one beside it.
func TestPlaceOfTheFirstRecord(t *testing.T) {
	piece := func(hash uint64, std uint8) TrailMark {
		return TrailMark{TS: 1, Hash: hash, Size: decode.ChunkSize, std: std}
	}
	line := func(hash uint64, std uint8) TrailMark { return TrailMark{TS: 2, Hash: hash, Size: 5, std: std} }
	end := TrailMark{TS: 1, Hash: 9, Size: 5, std: decode.Stdout}
	for name, tc := range map[string]struct {
		marks []TrailMark
		first TrailMark
		want  int
	}{
		"a line":                        {[]TrailMark{line(1, decode.Stdout), line(2, decode.Stdout)}, line(2, decode.Stdout), 1},
		"is not there":                  {[]TrailMark{line(1, decode.Stdout)}, line(2, decode.Stdout), -1},
		"a piece between others":        {[]TrailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), 1},
		"a piece of several":            {[]TrailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
		"others of the other std":       {[]TrailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), line(3, decode.Stderr), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
		"the last piece that came":      {[]TrailMark{piece(1, decode.Stdout), piece(2, decode.Stdout)}, piece(2, decode.Stdout), -1},
		"the last one of its std":       {[]TrailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), line(3, decode.Stderr)}, piece(2, decode.Stdout), -1},
		"what came before is not known": {[]TrailMark{piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
	} {
		t.Run(name, func(t *testing.T) {
			if have := (&Trail{Marks: tc.marks}).Place(tc.first); have != tc.want {
				t.Errorf("place %d, not %d", have, tc.want)
			}
		})
	}
}
