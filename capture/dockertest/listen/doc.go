// Package listen is the sockets of the fake Engine.
//
// It serves a handler on them, and can go away and come back.
// It knows unix sockets, TCP, and a listener in memory for virtual time. It must not know what is served.
//
// Locks: Sockets.life is held while it comes or goes as a whole, then Sockets.mu, then that of the connections.
package listen
