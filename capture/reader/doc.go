// Package reader says what readers of a log are given and asked.
//
// A Reader is a way of getting at the log of one container: its files (reader/file)
// or the Engine's API (reader/api). It finds the place where the log was left,
// delivers what is behind it to the log's Writer, and ends with an error that its
// stream acts on. Nothing here comes for each line.
//
// It knows the Writer, the outbox that may be full and the task that gives
// heartbeats. It must not know the Engine's client, options, or what a stream does
// between two reads. It has no lock.
package reader
