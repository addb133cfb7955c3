// Package store is the log of one container, and who reads it.
//
// Bytes that are written become records as dockerd's copier makes them (copier.go), records are kept (records.go) and are
// written to files (package logfile). A [Follower] is one request: it has a place in the log, and is filled with what is
// to be sent next (follower.go), damage and unpacked files included.
//
// [Log] is its life. What a test does to it comes as [Output] (what the container writes), [Files] (what befalls its
// files) and [Followers] (what befalls those who read it). It knows versions and what Podman does otherwise. It must not know containers, faults of all of them, or HTTP.
//
// Lock: Log.mu guards all of it, also its Followers and its file. Below it those of [version.Spoken] and of the clock.
package store
