package capture

import (
	"context"
	"errors"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// A log may have places that hold no record: a crash or a full disk leaves half
// of one, or NULs. What the Engine reads forward ends there, in a way that
// depends on its version: 20.10 loses what its decoder has buffered and goes
// on, 23 to 26 send an error, later ones end the file and go on with the next,
// or with what is written from then on. Only the last of these can be seen in
// the answer. But it finds the beginning of a tail by line ends, from the end
// back: a tail that begins behind the damage is whole.

// broken says whether a read that has come to its end was broken off or has a
// hole; doubted says that there must be more than it has shown.
func (f *followReader) broken(ctx context.Context, s *stream, a *audit, doubted bool) (bool, error) {
	switch {
	case !a.complete():
		return true, nil
	case doubted && a.Found && (a.Target.Kind == position.FromAnchor || a.Target.Kind == position.FromBeginning):
		return f.behind(ctx, s)
	}
	look := !f.checked && f.api.OlderThan(followDoublesBelow) && a.Target.Kind == position.FromAnchor
	f.checked = true
	if !look {
		return false, nil
	}
	return f.hasHole(ctx, s, a.Seen, a.Limit, a.first)
}

// hasHole says whether a log that has shown n records, fewer than limit, from
// first on, has a hole. That leaves no trace. But for it the log begins with
// first: a tail of n records does so too, and a longer one does not begin
// earlier, unless the log has grown or was rotated in between. That may be asked
// again.
func (f *followReader) hasHole(ctx context.Context, s *stream, n, limit int, first position.TrailMark) (bool, error) {
	shorter := 0
	for range 3 {
		if n == 0 || n >= limit {
			return false, nil
		}
		got, from, err := f.count(ctx, s, n)
		if err != nil || got >= n && from == first {
			return false, err
		}
		if got < n {
			shorter++
		}
		if limit <= maxTurnTail {
			limit *= position.Further
		}
		again, begins, err := f.count(ctx, s, limit)
		switch {
		case err != nil:
			return false, err
		case begins.TS < first.TS && !f.stepped:
			return true, nil
		case begins == first:
			return got < n || again == n, nil
		case again == n && got < n:
			return true, nil
		}
		n, first = again, begins
	}
	return shorter == 3, nil
}

// count reads the last n records of the log, and returns how many the Engine
// gives, with what is none and left out, and the first of them.
func (f *followReader) count(ctx context.Context, s *stream, n int) (seen int, first position.TrailMark, err error) {
	log, err := f.request(ctx, s, false, n, &position.Position{})
	if err != nil {
		return 0, first, err
	}
	defer log.close()
	err = f.untilEnd(log, func(eof bool) error {
		return log.w.Each(eof, func(e *decode.Entry) error {
			if seen++; seen == 1 {
				m := position.MarkOf(e)
				first = m.Single()
			}
			return nil
		})
	})
	var refusal decode.SystemError
	if errors.As(err, &refusal) {
		return 0, first, nil
	}
	return seen + log.w.Damaged, first, err
}

// whole says whether the Engine can read the last n records of the log, and notes
// where they begin.
func (f *followReader) whole(ctx context.Context, s *stream, n int) (bool, error) {
	seen, first, err := f.count(ctx, s, n)
	if err != nil || seen < n {
		return false, err
	}
	f.soundFrom = first
	return true, nil
}

// last is the last record of the log, none if there is none.
func (f *followReader) last(ctx context.Context, s *stream) ([]position.TrailMark, error) {
	var all []position.TrailMark
	err := f.atEnd(ctx, s, func(e *decode.Entry) {
		m := position.MarkOf(e)
		all = append(all[:0], m.Single())
	})
	var refusal decode.SystemError
	if errors.As(err, &refusal) {
		return nil, nil
	}
	return all, err
}

// findSound finds how many records at the end of the log can be read if good can
// and bad cannot, 0 if not even one.
func (f *followReader) findSound(ctx context.Context, s *stream, good, bad int) error {
	f.sound = 0
	if f.api.IsPodman() { // whose tails are not to be believed
		return nil
	}
	for n, step := good+1, 1; n < bad && n <= position.LongestTail; n += step {
		whole, err := f.whole(ctx, s, n)
		if err != nil {
			return err
		}
		if !whole {
			bad = n
			break
		}
		good, step = n, step*position.Further
	}
	for range maxTries {
		if bad-good <= 1 {
			break
		}
		n := good + (bad-good)/2
		whole, err := f.whole(ctx, s, n)
		switch {
		case err != nil:
			return err
		case whole:
			good = n
		default:
			bad = n
		}
	}
	f.sound, f.soundAt = good, s.consumed()
	return nil
}

// readable is the tail to ask for instead of limit, less where the log is known
// to be damaged further back.
func (f *followReader) readable(s *stream, limit int) (tail int, capped bool) {
	if f.api.IsPodman() {
		if limit != position.Everything {
			limit = position.ByTime
		}
		return limit, false
	}
	if f.sound == 0 {
		return limit, false
	}
	since := int(s.consumed() - f.soundAt)
	if since > maxTurnTail { // no tail that is asked for without need is longer
		f.sound = 0
		return limit, false
	}
	reach := f.sound + since
	return min(limit, reach), limit >= reach
}
