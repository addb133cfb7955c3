// Package inotify wakes readers of log files, through one instance of the kernel's.
//
// It watches open files, each for one write only, and counts the files that are
// created under a name. It must not know what is in them. Watcher.mu guards its
// tables and is never held while somebody waits.
package inotify
