// Package wait has goroutines wait for each other, without polling.
//
// It knows channels, contexts and times. It must not know containers or logs. The lock of [Changes] is taken last, below
// any other.
package wait
