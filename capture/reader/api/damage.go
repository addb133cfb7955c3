package api

import (
	"context"
	"errors"
	"sync"
	"time"

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

// soundness knows how much of a damaged log can be read.
type soundness struct {
	*asker
	checked bool                 // the first read of this run was looked at for damage
	fresh   bool                 // nothing has shown yet that what is read goes to the log's end
	asked   bool                 // for its last record
	stored  []position.TrailMark // that record, if it is to come
	from    position.TrailMark   // the first record that can be read

	mu sync.Mutex // who opens the log anew asks, too
	n  int        // records at the end of the log that can be read, 0: all; guarded by mu
	at uint64     // records consumed when that was found; guarded by mu

	stuck stuck
}

// stuck is where last looks at a log come to a damage, with nothing behind it.
type stuck struct {
	since time.Time // zero: the last one did not
	at    uint64    // records consumed
}

// maxSoundings is how often one catchUp looks for what can be read of a damaged
// log: it may grow while it is looked for.
const maxSoundings = 8

// stuckTime is how long last looks end like that until it is not taken any more for
// something that passes. It is over before a container is named whose reads fail.
const stuckTime = 20 * time.Second

// endsDamaged is why a read fails that has shown all that the Engine can read of a log.
type endsDamaged struct{ error }

// Unwrap gives what the Engine reports.
func (e endsDamaged) Unwrap() error { return e.error }

// damageNotes is what one catch-up knows of a damage.
type damageNotes struct {
	hole    bool // something in the log cannot be read
	holed   bool // a read had it in its middle
	passed  bool // what stands before it is all newer than the confirmed place
	sounded int  // how often it was looked for what can be read of the log
}

// known is how many records at the end of a damaged log can be read, 0 if all can, or
// if that is not known.
func (s *soundness) known() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// found notes that so many can, of a log of which so much was consumed.
func (s *soundness) found(n int, consumed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n, s.at = n, consumed
}

// broken says whether a read that has come to its end was broken off or has a
// hole; doubted says that there must be more than it has shown, stepped
// that the clock has stepped back in the log.
func (s *soundness) broken(ctx context.Context, a *audit, doubted, stepped bool) (bool, error) {
	switch {
	case !a.complete():
		return !s.hidesEmpty(), nil // a journal has no damage
	case doubted && a.Found && (a.Target.Kind == position.FromAnchor || a.Target.Kind == position.FromBeginning):
		return s.behind(ctx)
	}
	look := !s.checked && s.api.OlderThan(followDoublesBelow) && a.Target.Kind == position.FromAnchor && !s.tailsLie()
	s.checked = true
	if !look {
		return false, nil
	}
	return s.hasHole(ctx, &a.Target.Anchor, a.Seen, a.Limit, a.first, stepped)
}

// isEnd says whether a last look that ended with err has come to the end of the log:
// the container has ended, and who waits for more than can be read waits for ever.
func (s *soundness) isEnd(err error) bool {
	var damaged endsDamaged
	switch at := s.Consumed(); {
	case !errors.As(err, &damaged):
		s.stuck = stuck{}
	case s.stuck.since.IsZero(), s.stuck.at != at:
		s.stuck = stuck{time.Now(), at}
	default:
		return time.Since(s.stuck.since) >= stuckTime
	}
	return false
}

// begin follows that a log is read again, after a failure or for the first time.
func (s *soundness) begin() { s.fresh, s.asked, s.stored = true, false, nil }

// toCheck says whether the log may hold more than what is read of it will show: a
// crash leaves damage, at which Engines since 23 end a log without a word. Who
// follows it is sent what is written from then on, and not what was meanwhile.
func (s *soundness) toCheck(p *position.Position) bool {
	return s.fresh && p.Kind == position.FromAnchor && !s.api.OlderThan(followDoublesBelow) && !s.api.IsPodman()
}

// await has a follow that is to be opened wait for the last record of the log. It says
// whether that is to come.
func (s *soundness) await(ctx context.Context, p *position.Position) bool {
	if s.asked || !s.toCheck(p) {
		return false
	}
	s.asked = true
	last, err := s.last(ctx)
	s.Task.Beat()
	if err != nil || len(last) == 0 {
		return false
	}
	newest := p.Anchor.Newest()
	s.stored, s.fresh = last, last[0] != newest.Single()
	return s.fresh
}

// passed says, once, whether a record came that is newer than the one that was to
// come before.
func (s *soundness) passed(e *decode.Entry) bool {
	if !s.fresh || len(s.stored) == 0 {
		return false
	}
	m, stored := position.MarkOf(e), s.stored[0]
	switch {
	case m.Single() == stored:
		s.fresh = false
	case e.TS > stored.TS:
		s.stored = nil
		return true
	}
	return false
}

// hasHole says whether a log that has shown n records, fewer than limit, from
// first on, has a hole. That leaves no trace. But for it the log begins with
// first: a tail of n records does so too, and a longer one does not begin
// earlier, unless the log has grown or was rotated in between. That may be asked
// again. known are the records that were cut as they were before.
func (s *soundness) hasHole(ctx context.Context, known *position.Anchor, n, limit int, first position.TrailMark, stepped bool) (bool, error) {
	shorter := 0
	for range 3 {
		if n == 0 || n >= limit {
			return false, nil
		}
		got, from, err := s.count(ctx, n, known)
		if err != nil || got >= n && from == first {
			return false, err
		}
		if got < n {
			shorter++
		}
		if limit <= maxTurnTail {
			limit *= position.Further
		}
		again, begins, err := s.count(ctx, limit, known)
		switch {
		case err != nil:
			return false, err
		case begins.TS < first.TS && begins.TS != decode.Undated && !stepped:
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

// whole says whether the Engine can read the last n records of the log, and notes
// where they begin.
func (s *soundness) whole(ctx context.Context, n int) (bool, error) {
	p := s.Position()
	seen, first, err := s.count(ctx, n, &p.Anchor)
	if err != nil || seen < n {
		return false, err
	}
	s.from = first
	return true, nil
}

// find finds how many records at the end of the log can be read if good can
// and bad cannot, 0 if not even one.
func (s *soundness) find(ctx context.Context, good, bad int) error {
	s.found(0, 0)
	if s.tailsLie() {
		return nil
	}
	for n, step := good+1, 1; n < bad && n <= position.LongestTail; n += step {
		whole, err := s.whole(ctx, n)
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
		whole, err := s.whole(ctx, n)
		switch {
		case err != nil:
			return err
		case whole:
			good = n
		default:
			bad = n
		}
	}
	s.found(good, s.Consumed())
	return nil
}

// readable is the tail to ask for instead of limit, less where the log is known
// to be damaged further back.
func (s *soundness) readable(limit int) (tail int, capped bool) {
	if s.api.IsPodman() {
		if limit != position.Everything {
			limit = position.ByTime
		}
		return limit, false
	}
	consumed := s.Consumed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 {
		return limit, false
	}
	since := int(consumed - s.at)
	if since > maxTurnTail { // no tail that is asked for without need is longer
		s.n = 0
		return limit, false
	}
	reach := s.n + since
	return min(limit, reach), limit >= reach
}

// grew says that a read which went to the end of the log has shown so many records.
func (s *soundness) grew(seen int) {
	if n := s.known(); n > 0 {
		s.found(max(n, seen), s.Consumed())
	}
}
