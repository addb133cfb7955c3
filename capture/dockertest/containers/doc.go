// Package containers is the containers of the fake Engine, and their lives.
//
// [Container] says what is made, [Set] keeps those that exist, a [Ctr] is one of them, and [Life] its changes of state:
// which events a lifetime has, and in which order, is dockerd's. It knows the log of a container (package store) and what happens to its
// streams as one value each. It must not know HTTP: that reads a [View].
//
// Locks: Life.mu is held by each change of state as a whole, and only then the others: Set.mu guards what is said of
// every container. No log, no event and no other room is asked with Set.mu held, but for the clock.
package containers
