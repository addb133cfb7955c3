// Package record makes the records of a container's lines.
//
// What does not change from line to line is encoded once, as a Template; a line is
// appended to it with one copy and no allocation. Labels and log options become keys
// here, and a container's tag is made.
//
// It knows package container's words, msgpack and Fluent Bit's log event. It must not
// know streams, options as they are written, or where a record goes. Nothing in it
// changes once it is made: it has no lock.
package record
