// Package file reads a log from the files of its log driver.
//
// A log is the file that is written to and those that log rotation moved away, held
// open in the order of their records until each is read to its end. Which file
// follows which is told by names only where the Engine moves them, else by content
// (place.go): others move, copy and truncate logs, too.
//
// It knows json-file and k8s-file by package decode, the file system, and who watches
// it (inotify). It must not know the Engine, options or streams: a Host says where
// the log is and takes note. fileLog is one read's and has no lock. Memory.mu guards how
// far a log was read; nothing is called under it.
package file
