package api

import (
	"time"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// heldNotes is what a reader remembers of a log that may be held.
type heldNotes struct {
	at   time.Time          // when it was last waited in vain for others to let go of it
	step position.TrailMark // the record at which it goes back, because the clock was set
}

// heldPatience is how one catch-up meets a log that may be held.
type heldPatience struct {
	waited time.Duration // for others to let go of the log
	oneLog bool          // nobody has it open
	byTime bool          // they do not: what is newer than all before is delivered
	torn   bool          // a read lacked the rest of a line, within a run of the container
}

// heldView is what one read of a log that may be held shows, by the times of its
// records.
type heldView struct {
	held bool // others may have the log open, see mayBeHeld
	// oneLog: where it goes back, the clock was set back.
	oneLog bool
	// mayTear: what has come of a line is all that there is of it where the next record is
	// another's.
	mayTear bool
	// byTime: what is newer than newest, by std, is new, and nothing else.
	byTime bool
	newest [3]int64
	high   [3]int64           // by std: the newest time that it has shown
	again  [3]bool            // by std: it shows again what it has shown, to the record with that time
	step   position.TrailMark // where the clock is known to have been set back
	back   position.TrailMark // the record at which the log goes back
}

// isOld says whether a record that comes behind all that was delivered is older than
// that, and may be a part of it.
func (v *heldView) isOld(e *decode.Entry) bool {
	if !v.held || v.oneLog || e.TS == decode.Undated || e.TS >= v.newest[e.Std] {
		return false
	}
	m := position.MarkOf(e)
	v.back = m.Single()
	return true
}

// goesBack says whether a record of a log that may be held is older than one of its std
// stream that was shown before it, so that it may be shown a second time.
func (v *heldView) goesBack(e *decode.Entry) bool {
	if !v.held || v.oneLog || e.TS == decode.Undated {
		return false
	}
	high := &v.high[e.Std]
	if e.TS >= *high {
		*high = e.TS
		return false
	}
	m := position.MarkOf(e)
	if v.back = m.Single(); v.back == v.step {
		*high = e.TS
		return false
	}
	return true
}

// showsAgain says whether a record was shown by this read before, as times tell.
func (v *heldView) showsAgain(e *decode.Entry) bool {
	high, again := &v.high[e.Std], &v.again[e.Std]
	*again = e.TS < *high || *again && e.TS == *high
	*high = max(*high, e.TS)
	return *again
}

// A read that finds the log held is done again every heldStep, in all for heldTime:
// most requests are short. After that it is not waited again for heldPause.
const (
	heldStep  = 250 * time.Millisecond
	heldTime  = 2 * time.Second
	heldPause = time.Minute
)

// heldText is said once of a log, hidden of lines that may be lost for that reason.
const (
	heldText = "somebody else has this log open, meanwhile the Engine shows old files of it in the place of newer ones"
	hidden   = "gap: lines may be lost, the Engine shows old files of the log in the place of newer ones while somebody has it open"
)
