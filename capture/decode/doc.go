// Package decode cuts a log's bytes into entries, in place.
//
// It reads the four forms in which Docker stores or sends a log: frames
// (frame.go), the log of a terminal (tty.go), lines of the json-file driver
// (jsonlog.go) and the timestamps before or in them (timestamp.go). Window is
// the buffer between a reader and the frames.
//
// It knows what these forms look like. It must not know containers, streams or
// positions: what an earlier read knows of the records comes in through Known.
// Nothing here allocates per entry, waits, or takes a lock; an entry's text is
// valid until the bytes that it was cut from change.
package decode
