package api

import (
	"context"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
)

// shorten follows a read that was broken off: what is behind the damage can be
// read. But first a tail that begins before the position is: it shows what stands
// before the damage. It fails with reason where there is nothing.
func (c *catchingUp) shorten(ctx context.Context, a *audit, reason error) error {
	switch within := !a.Found && a.Best > 0; {
	case c.capped: // there is more damage
		c.f.sound.found(0, 0)
		return reason
	case c.limit != position.Everything && (within || a.beginsBehind() || a.Seen == 0): // or it begins within the damage
		c.limit, c.f.sound.checked = longer(c.limit, a.Resync), false
		return nil
	case within && a.Best < a.Depth: // the log begins behind the oldest marks of the anchor
		c.depth, c.f.sound.checked = a.Best, false
		return nil
	}
	c.passed = c.limit == position.Everything && a.beginsBehind() && !a.holdsAnchor()
	switch err := c.f.sound.find(ctx, 0, c.limit); {
	case err != nil:
		return err
	case c.f.sound.known() > 0:
	case c.isGone(a):
		return c.f.Gap(ctx, &a.Target.Anchor)
	case a.Seen > 0:
		return endsDamaged{reason}
	default:
		return reason
	}
	p := c.f.Position()
	c.shown, c.last, c.hole = nil, nil, c.hole || p.Kind == position.FromBeginning
	return nil
}

// isGone says whether the confirmed place is on neither side of a damage: the log was
// rotated, and what stands before the damage is new, too.
func (c *catchingUp) isGone(a *audit) bool { return c.passed && !a.met && !c.f.openings.opened() }

// lengthen follows a read that did not reach back to the confirmed place.
func (c *catchingUp) lengthen(ctx context.Context, a *audit) error {
	switch {
	case c.capped && a.Best > 0 && a.Best < a.Depth:
		c.depth = a.Best // the oldest marks lie before the damage
	case c.capped:
		// There may be more new records than the sound tail had when it was
		// looked for.
		known := c.f.sound.known()
		if c.sounded++; c.sounded <= maxSoundings {
			if err := c.f.sound.find(ctx, known, position.Everything); err != nil {
				return err
			}
		}
		if c.f.sound.known() > known && c.sounded <= maxSoundings || c.blind || a.Target.Kind == position.FromBeginning {
			return nil
		}
		if c.isGone(a) {
			c.f.sound.found(0, 0) // what stands before the damage was not delivered
			return c.f.Gap(ctx, &a.Target.Anchor)
		}
		if err := c.f.ReportDamage(ctx); err != nil {
			return err
		}
		c.f.trail.PassOver(a.met)
		c.blind = true
	case a.met:
		// The Engine left out more than there is room for in this tail.
		if c.blind = c.limit == position.Everything; !c.blind {
			c.limit = longer(c.limit, a.Resync)
		}
	default:
		// A longer tail does not begin earlier, as far as times tell.
		whole := c.first.TS != 0 && a.first.TS >= c.first.TS && c.first.TS != decode.Undated
		c.shown, c.first = before(a.shown, c.shown), a.first
		if c.limit = longer(c.limit, a.Resync); whole {
			c.limit = position.Everything
		}
	}
	return nil
}

// longer is the tail to ask for after limit did not reach far enough: what the
// rate of the records seen suggests, within bounds.
func longer(limit int, r *position.Resync) int {
	if limit > position.LongestTail { // which was a place in time
		return position.Everything
	}
	next := limit * position.Further
	if guess := r.Estimate(); guess > next {
		next = min(guess, limit*position.Furthest)
	}
	if next > position.LongestTail {
		return position.Everything
	}
	return next
}
