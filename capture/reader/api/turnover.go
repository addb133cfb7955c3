package api

import (
	"slices"
	"time"

	"fluent-bit-docker-logs/capture/position"
)

// turnover knows how fast the Engine replaces a log that is followed.
type turnover struct {
	came      int64                // bytes, about as many as the log needed for them
	passed    []position.TrailMark // of what came, oldest first, at even distances
	passedAt  int64                // of came, at the last of them
	doubted   time.Time            // when the log was last asked about a line's beginning
	compared  time.Time            // when the log was last compared because it is short-lived, or thought to be
	measured  time.Time            // when it was last seen how fast the log is replaced
	measuredC int64                // of came, then
	outruns   bool                 // it was replaced within minTurnover then
	looked    time.Time            // when it was last looked at beside the follow
	look      time.Duration        // how long that took
}

// A log that the Engine replaces within longTurnover is compared with what was sent
// of it whenever a quarter of it was, or three quarters of a trail, but not more
// often than every compareEvery. One that it replaces within minTurnover is looked at
// as often while the follow goes on: to open it anew would be to lag behind it, and to
// lose what would have been sent. Looks take a lookShare-th of the time at most, and
// where lines without their beginnings are sent a doubtShare-th.
const (
	longTurnover = 30 * time.Second
	minTurnover  = 5 * time.Second
	compareEvery = 100 * time.Millisecond
	lookShare    = 10
	doubtShare   = 4
)

// passedInLog is of how many records, of those that the Engine keeps, it is known that
// they were delivered: some in each rotated file.
const passedInLog = 64

// add says that so many bytes came of a log of which the Engine keeps keeps, 0: all.
// pass says that the record is one to be remembered.
func (t *turnover) add(bytes, keeps int64) (pass bool) {
	t.came += bytes
	if keeps <= 0 || t.came-t.passedAt < keeps/passedInLog {
		return false
	}
	t.passedAt = t.came
	return true
}

// pass remembers a record that was delivered.
func (t *turnover) pass(m position.TrailMark) {
	t.passed = append(t.passed, m)
	if len(t.passed) > 2*passedInLog {
		t.passed = slices.Delete(t.passed, 0, passedInLog)
	}
}

// compareDue says whether what was sent is to be compared with the log now.
// The trail is what was sent since it was last compared.
func (t *turnover) compareDue(keeps int64, trail *position.Trail) bool {
	if int64(trail.Bytes) < keeps/4 && trail.Unconfirmed() < position.TrailLength*3/4 {
		return false
	}
	now := time.Now()
	since := now.Sub(t.compared)
	if since < compareEvery {
		return false
	}
	rate, first := float64(trail.Bytes)/since.Seconds(), t.compared.IsZero()
	t.compared = now
	if first || float64(keeps)/rate > longTurnover.Seconds() || t.outrun() {
		trail.Bytes = 0
		return false
	}
	return true
}

// measure looks, whenever a quarter of the log was sent, how fast it is replaced. It
// says whether it has just seen that this is within minTurnover.
func (t *turnover) measure(keeps int64) (outruns bool) {
	came := t.came - t.measuredC
	if came < keeps/4 {
		return false
	}
	now := time.Now()
	since := now.Sub(t.measured)
	if since < compareEvery {
		return false
	}
	first := t.measured.IsZero()
	t.measured, t.measuredC = now, t.came
	t.outruns = !first && float64(keeps)*since.Seconds() < minTurnover.Seconds()*float64(came)
	return t.outruns
}

// outrun says whether the log is replaced within minTurnover at present.
func (t *turnover) outrun() bool { return t.outruns && time.Since(t.measured) < minTurnover }

// lookDue says whether a log that is outrun is to be looked at now.
func (t *turnover) lookDue() bool {
	return t.outrun() && time.Since(t.looked) >= max(compareEvery, lookShare*t.look)
}

// mayLook says whether a log that is outrun may be looked at before a record.
func (t *turnover) mayLook() bool {
	return t.outrun() && time.Since(t.looked) >= doubtShare*t.look
}

// hasLooked notes a look at the log that began then.
func (t *turnover) hasLooked(at time.Time) { t.looked, t.look = time.Now(), time.Since(at) }

// mayDoubt says whether the log is to be asked what it holds before a record:
// where the Engine rotates it, and not too often.
func (t *turnover) mayDoubt(keeps int64) bool {
	now := time.Now()
	if keeps == 0 || now.Sub(t.doubted) < compareEvery || t.outrun() {
		return false
	}
	t.doubted = now
	return true
}
