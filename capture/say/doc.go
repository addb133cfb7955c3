// Package say keeps a log short: what goes on is said once, and summed up later.
//
// It knows slog and the clock, and nothing of what is said. Each type has a lock
// of its own, under which nothing waits but the logger's handler.
package say
