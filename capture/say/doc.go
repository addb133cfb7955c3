// Package say keeps a log short. What goes on is said once, and summed up later.
//
// It knows slog and the clock. It must not know what is said. Each type has a lock
// of its own, under which nothing waits but the logger's handler.
package say
