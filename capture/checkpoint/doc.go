// Package checkpoint keeps positions on disk: the file of DB and its journal.
//
// At any moment the file is the old or the new one, whole (checkpoint.go). What was
// committed since is in the journal (journal.go), written without fsync, for an
// agent that is killed. One owner has both, by a lock beside them (place.go).
//
// It knows positions and JSON, and neither streams nor when to save. Its forms are
// read by older and newer versions: fields are added, not changed. File.mu is held
// while something is written, which takes as long as the disk does.
package checkpoint
