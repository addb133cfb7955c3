package capture

import (
	"slices"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// Engines before 23 unpack the rotated files of a compressed log for a request, and
// share them with all other requests by their numbers until the last one that uses
// a number has let it go. So as long as somebody has such a log open, and be it
// "docker logs NAME | less", everybody is shown the files of then in the place of
// those of now: old records come again between newer ones, and the files that were
// rotated since are not shown at all.

// heldFiles leaves out of what a log is said to hold the records that are shown a
// second time, or in a wrong place: those that are not newer than others of their
// std stream before them.
type heldFiles struct {
	until   int64 // what is newer tells of a clock that was set, by the Engine's clock
	high    [3]int64
	held    [3]bool                 // a file began that is older than what came before
	newest  [3][]position.TrailMark // the records with the time of high
	sighted bool
}

// maxNewest bounds what is kept of one time: the pieces of a line have one.
const maxNewest = 1024

// drop says whether a record is to be left out.
func (h *heldFiles) drop(e *decode.Entry) bool {
	if h == nil || e.TS == decode.Undated {
		return false
	}
	std := e.Std
	if e.TS > h.high[std] {
		h.high[std], h.held[std], h.newest[std] = e.TS, false, h.newest[std][:0]
	}
	m := position.MarkOf(e)
	mark := m.Single()
	switch {
	case h.high[std] > h.until:
		return false
	case e.TS < h.high[std]:
		h.held[std], h.sighted = true, true
		return true
	case h.held[std] && slices.Contains(h.newest[std], mark):
		return true
	}
	if len(h.newest[std]) < maxNewest {
		h.newest[std] = append(h.newest[std], mark)
	}
	return false
}
