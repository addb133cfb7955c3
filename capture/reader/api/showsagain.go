package api

import (
	"context"
	"slices"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// mayBeHeld says whether the log may be shown as it was when somebody else opened it.
// Engines before 23 unpack the rotated files of a compressed log for a request, and
// share them with all other requests by their numbers until the last one that uses a
// number has let it go. So as long as somebody has such a log open, and be it "docker
// logs NAME | less", everybody is shown the files of then in the place of those of now:
// old records come again between newer ones, and what was rotated since not at all.
func (f *Follow) mayBeHeld() bool {
	c := f.Container()
	return f.repeats && c.Compressed && c.MaxFile != 1
}

// showsAgain says whether the log is shown with records a second time: behind the last
// one that was delivered what was delivered before it, or the one at which it goes back.
// Where it does not, and yet goes back there, the clock was set.
func (f *Follow) showsAgain(ctx context.Context, last position.Mark, back position.TrailMark) (again bool, err error) {
	log, err := f.request(ctx, false, position.Everything, &position.Position{})
	if err != nil {
		return false, err
	}
	defer log.close()
	met, times, stepped, high := false, 0, false, [3]int64{}
	err = f.untilEnd(log, func(eof bool) error {
		f.Task.Beat()
		return log.w.Each(eof, func(e *decode.Entry) error {
			full := position.MarkOf(e)
			m, older := full.Single(), e.TS < high[e.Std]
			if m == back && (times == 0 || older) { // else it is another piece of a line
				times++
				stepped = older
			}
			again = again || times > 1 || met && (m == last.Single() || slices.Contains(f.turnover.passed, m))
			met = met || m == last.Single()
			high[e.Std] = max(high[e.Std], e.TS)
			return nil
		})
	})
	if err == nil && !again && stepped {
		f.held.step = back
	}
	return again, err
}
