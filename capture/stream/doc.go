// Package stream keeps a stream for each container that is captured.
//
// A stream is a task that has the log of its container read, run after run, in the way
// that the container allows and what it writes asks for: from its file, followed, or
// polled. It waits where nothing can be read or taken, opens again what ended early,
// sends heartbeats and rotates what is open (pulse.go, rotate.go). A Set is all of them.
// It begins and ends them as discovery says, keeps those of removed containers for a
// while (tasks.go), and tells others of them: what is to be saved, how each is.
//
// It knows readers, writers, positions, the Engine's client and the supervisor, and of
// the options those in Config. It must not know where containers are found, which are
// wanted, how the positions are saved, or what is served of it: who has a Set asks it.
//
// Locks, in order: tasks.mu, of which streams there are; the outbox's, which also guards
// what a stream's Writer has; slots.mu, of who may follow; standing.meta, of what one
// stream does and since when. A call of a Set holds the outbox's for a few streams at a
// time. readerNotes.mu and rotationLog.mu are the last, and held while something is said.
package stream
