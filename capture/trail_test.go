package capture

import "testing"

// A log that begins within what was delivered is placed by its first record,
// but not by a piece of a long line that may stand for an equal one beside it.
func TestPlaceOfTheFirstRecord(t *testing.T) {
	piece := func(hash uint64, std uint8) trailMark { return trailMark{ts: 1, hash: hash, size: chunkSize, std: std} }
	line := func(hash uint64, std uint8) trailMark { return trailMark{ts: 2, hash: hash, size: 5, std: std} }
	end := trailMark{ts: 1, hash: 9, size: 5, std: stdout}
	for name, tc := range map[string]struct {
		marks []trailMark
		first trailMark
		want  int
	}{
		"a line":                        {[]trailMark{line(1, stdout), line(2, stdout)}, line(2, stdout), 1},
		"is not there":                  {[]trailMark{line(1, stdout)}, line(2, stdout), -1},
		"a piece between others":        {[]trailMark{piece(1, stdout), piece(2, stdout), end}, piece(2, stdout), 1},
		"a piece of several":            {[]trailMark{piece(1, stdout), piece(2, stdout), piece(2, stdout), end}, piece(2, stdout), -1},
		"others of the other std":       {[]trailMark{piece(1, stdout), piece(2, stdout), line(3, stderr), piece(2, stdout), end}, piece(2, stdout), -1},
		"the last piece that came":      {[]trailMark{piece(1, stdout), piece(2, stdout)}, piece(2, stdout), -1},
		"the last one of its std":       {[]trailMark{piece(1, stdout), piece(2, stdout), line(3, stderr)}, piece(2, stdout), -1},
		"what came before is not known": {[]trailMark{piece(2, stdout), end}, piece(2, stdout), -1},
	} {
		t.Run(name, func(t *testing.T) {
			if have := (&trail{marks: tc.marks}).place(tc.first); have != tc.want {
				t.Errorf("place %d, not %d", have, tc.want)
			}
		})
	}
}
