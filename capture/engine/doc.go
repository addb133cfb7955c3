// Package engine is the only user of the Engine's client library.
//
// Client asks (GET and HEAD, nothing else): containers, logs, events. State is
// whether the Engine answers, for those who wait for it. A request that hangs ends
// at a bound of its own. What an error asks the caller to do is told by ErrGone,
// ErrUnreadable, ErrDown and ErrRefused.
//
// It knows containers, and what Podman does otherwise. It must not know streams.
// State and the pool of direct connections have a lock each, which is never held
// during a request.
package engine
