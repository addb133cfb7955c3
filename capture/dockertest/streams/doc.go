// Package streams is the log requests of one container, or of all.
//
// They are watched here, and what is done to them is done here.
//
// [Streams] of a container stand below those of the Engine: what is ordered for either comes to a request. [Orders] are
// for requests to come, [Streams] does the rest to those that are open, and a [Request] is one while it is served, with
// the body through which the faults go. It knows logs (package store). It must not know containers, nor routes.
//
// Locks, each on its own: that of Orders, of Queries, of a Streams' count; they are not held while a log is asked.
package streams
