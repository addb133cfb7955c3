// Package inotify wakes readers of log files that are written to. It does so through
// two instances of the kernel's.
//
// One watches open files: what is written to many of them is told together, a few
// times a second. The other counts the files that are created under a name, at once.
//
// It knows the kernel's events and names of files. It must not know what is in them.
//
// Locks, in order: Watcher.reading is held while events are counted, Watcher.mu guards
// the tables; nothing waits under either.
package inotify
