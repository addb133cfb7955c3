// Package supervise keeps the goroutines of a capture alive, and catches panics.
//
// A task works, rests or is silent for too long; what that means is told by its
// heartbeats alone. The package knows the clock, a logger and three counters. It
// must not know what a task does. Supervisor.mu guards the runs and is never held
// while a task runs.
package supervise
