// Package supervise keeps the goroutines of a capture alive, and catches panics.
//
// A task works, rests or is silent for too long; what that means is told by its
// heartbeats alone. What tasks have in common is here too: waiting, the moments at
// which they do so together, a semaphore.
//
// It knows the clock, a logger and three counters. It must not know what a task does.
// Its lock, Supervisor.mu, guards the runs and is never held while a task runs.
package supervise
