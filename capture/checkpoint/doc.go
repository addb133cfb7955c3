// Package checkpoint remembers where logs are to be read on. It does so in memory
// and on disk.
//
// Store has the positions of containers without a stream, and why others are not
// captured: so it knows which are new, and where each begins (store.go, start.go).
// Saver says when that is written (saver.go), File how.
//
// At any moment the file is the old or the new one, whole (checkpoint.go). What was
// committed since is in the journal (journal.go), written without fsync, for an
// agent that is killed. One owner has both, by a lock beside them (place.go).
//
// It knows positions, containers and JSON. It must not know streams. Its forms are
// read by older and newer versions: fields are added, not changed.
//
// Locks: File.mu is held while something is written, which takes as long as the disk
// does. Store.mu never is, and may be taken with the locks of others held.
package checkpoint
