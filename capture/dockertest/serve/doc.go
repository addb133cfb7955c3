// Package serve is the read-only part of the Engine's HTTP API.
//
// [Server] finds the route, a file for each of them answers it: list.go, inspect.go, logs.go, events.go, info.go. What
// depends on the version, and what Podman does otherwise, is decided there. Before the true answer come those that were
// ordered ([Faults]), each request is counted ([Counts]) and may take time ([Latency]).
//
// It knows containers, their logs and events by the rooms below, and changes none of them. It must not know sockets, nor who
// runs the Engine.
//
// Locks: that of Faults, that of Latency and that of Counts, each on its own, not held while anything is answered.
package serve
