package main

import "time"

const (
	// busyTime is how long the ring may not be empty. The engine's thread empties
	// it in a loop that ends when it is: as long as there is always something in
	// it nothing is flushed, and no signal is heard.
	busyTime = time.Second
	// firstBurst is how many appends go until it is seen how quickly Fluent Bit
	// takes them.
	firstBurst = 4
	// maxInRing leaves room in a ring of ringCapacity, and stays below the 51
	// entries from which older versions drain theirs at once: a full one blocks
	// the thread for a second, deaf to a pause, and then logs an error.
	maxInRing = 48
)

// burst bounds what is appended until the ring is empty once, by how quickly
// Fluent Bit takes it.
type burst struct {
	since   time.Time // when something came into the empty ring; zero: it is empty
	emptyAt time.Time // when it was seen to be empty after that
	made    int       // appends since then
	size    int       // how many may be under way
}

func newBurst() burst { return burst{size: firstBurst} }

func (b *burst) add(now time.Time) {
	if b.since.IsZero() {
		b.since, b.made = now, 0
	}
	b.made++
	b.emptyAt = time.Time{}
}

// emptied says that all has left the ring. When the engine's thread rests, or
// could have for long, that ends the burst: the next one has the size of what
// left the ring in busyTime.
func (b *burst) emptied(now time.Time, rests bool) {
	if b.since.IsZero() {
		return
	}
	if b.emptyAt.IsZero() {
		b.emptyAt = now
	}
	if !rests && now.Sub(b.emptyAt) <= busyTime {
		return // in a filter, behind which it would find the next one
	}
	next := 2 * b.size
	if took := b.emptyAt.Sub(b.since); took > busyTime {
		next = int(time.Duration(b.made) * busyTime / took)
	}
	b.size = min(max(1, next), maxInRing)
	b.since = time.Time{}
}

// resume says that nothing was taken up to now since the input was paused.
func (b *burst) resume(now time.Time) {
	if !b.since.IsZero() {
		b.since = now
	}
}

// forget says that nothing is under way any more.
func (b *burst) forget() { b.since = time.Time{} }

// room reports whether there may be one more than n that are under way.
func (b *burst) room(n int, now time.Time) bool {
	return n < b.size && (b.since.IsZero() || now.Sub(b.since) <= busyTime)
}
