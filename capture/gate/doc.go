// Package gate waits for files that Go's poller is not to watch.
//
// That poller watches for edges: each time a file gets more to read it wakes a thread,
// whether anybody waits for the file or not. Where what comes is left alone for a
// while, so that much is read at once, these wake-ups cost more than the reading.
//
// It knows descriptors. It must not know what is read. It has no lock.
package gate
