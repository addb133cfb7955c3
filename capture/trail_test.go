package capture

import (
	"testing"

	"fluent-bit-docker-logs/capture/decode"
)

// A log that begins within what was delivered is placed by its first record,
// but not by a piece of a long line that may stand for an equal one beside it.
func TestPlaceOfTheFirstRecord(t *testing.T) {
	piece := func(hash uint64, std uint8) trailMark {
		return trailMark{ts: 1, hash: hash, size: decode.ChunkSize, std: std}
	}
	line := func(hash uint64, std uint8) trailMark { return trailMark{ts: 2, hash: hash, size: 5, std: std} }
	end := trailMark{ts: 1, hash: 9, size: 5, std: decode.Stdout}
	for name, tc := range map[string]struct {
		marks []trailMark
		first trailMark
		want  int
	}{
		"a line":                        {[]trailMark{line(1, decode.Stdout), line(2, decode.Stdout)}, line(2, decode.Stdout), 1},
		"is not there":                  {[]trailMark{line(1, decode.Stdout)}, line(2, decode.Stdout), -1},
		"a piece between others":        {[]trailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), 1},
		"a piece of several":            {[]trailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
		"others of the other std":       {[]trailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), line(3, decode.Stderr), piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
		"the last piece that came":      {[]trailMark{piece(1, decode.Stdout), piece(2, decode.Stdout)}, piece(2, decode.Stdout), -1},
		"the last one of its std":       {[]trailMark{piece(1, decode.Stdout), piece(2, decode.Stdout), line(3, decode.Stderr)}, piece(2, decode.Stdout), -1},
		"what came before is not known": {[]trailMark{piece(2, decode.Stdout), end}, piece(2, decode.Stdout), -1},
	} {
		t.Run(name, func(t *testing.T) {
			if have := (&trail{marks: tc.marks}).place(tc.first); have != tc.want {
				t.Errorf("place %d, not %d", have, tc.want)
			}
		})
	}
}
