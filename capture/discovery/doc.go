// Package discovery finds out what should be read. It does so by the Engine's list and
// events.
//
// An event only says where to look: what is done is decided by an inspect, so that
// lost, doubled and late events do no harm. No answer is waited for while there is
// something else to do: one that does not come concerns its container alone
// (inquiries.go), and while a list is under way events are acted on.
//
// It knows containers, and what is known of those that are not captured
// (checkpoint.Store). It must not know what a stream is: it has them begun, looked at
// and ended by the interface Streams, and is told by Choice what is wanted.
//
// Locks, in order: memory.mu, of what inspects have told; Failing.mu. inquiries.mu, of
// those that are under way, is taken with no other. Neither the Engine nor a stream is
// asked with one of them held.
package discovery
