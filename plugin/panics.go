package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
)

// recovered, deferred, turns a panic into an error in log, or on stderr
// without one.
func recovered(log *slog.Logger) {
	p := recover()
	if p == nil {
		return
	}
	if log == nil {
		fmt.Fprintf(os.Stderr, "[input:%s] panic: %v\n%s", pluginName, p, debug.Stack())
		return
	}
	log.Error("panic", "value", p, "stack", string(debug.Stack()))
}
