package supervise

import (
	"hash/fnv"
	"time"
)

// Moments is into how many a time is divided. At one of them is done what many
// tasks do at about that interval.
const Moments = 14

// OnGrid shortens a wait so that it ends together with others. They are of
// about its length: what is done in one go costs a third of what it costs when
// a processor is woken for each.
func OnGrid(d time.Duration) time.Duration {
	// A little shorter than d, which must not be exceeded when it is their turn.
	grid := d * 98 / 100 / Moments
	if grid <= 0 {
		return d
	}
	end := SinceStart() + d
	return d - end%grid
}

// NearGrid moves the end of a wait to the nearest such moment. So one wait
// after the other is of length d.
func NearGrid(d time.Duration) time.Duration {
	grid := d / Moments
	if grid <= 0 {
		return d
	}
	end := SinceStart() + d + grid/2
	return d + grid/2 - end%grid
}

// Spread is a part of d that differs from id to id. So not all tasks do the same
// at the same time.
func Spread(id string, d time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return d/10 + time.Duration(float64(d)*0.9*float64(h.Sum32())/(1<<32))
}
