// Package api reads a container's log through the Engine's API.
//
// Follow keeps a request open and Poll asks now and then; both find the position by
// asking for the last records (asker.go, begin.go). What a follow sends is compared
// with the log itself by reads with an end (catchup.go, audit.go): Engines leave out
// and send twice. A log with places that hold no record is read behind them
// (damage.go).
//
// It knows engine.Client, positions and trails. It must not know files, options as
// they are written, or streams: a Host says what is wanted and takes note.
//
// Locks, each on its own: openings.mu guards which requests are open, Memory.mu what
// one run leaves to the next; nothing waits under either. Records are delivered with
// the outbox locked, under neither.
package api
