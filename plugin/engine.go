package main

import (
	"bytes"
	"os"
	"path/filepath"
)

// engineThread is the thread of Fluent Bit's engine, which drains the rings,
// runs the filters and writes the chunks.
type engineThread struct {
	wchan string // the file that says what it waits in, "" where it is not known
}

// findEngine looks for the engine's thread by its name. Several engines in one
// process cannot be told apart.
func findEngine(tasks string) engineThread {
	names, _ := filepath.Glob(filepath.Join(tasks, "*", "comm"))
	var found []string
	for _, name := range names {
		if comm, _ := os.ReadFile(name); string(bytes.TrimSpace(comm)) == "flb-pipeline" {
			found = append(found, filepath.Join(filepath.Dir(name), "wchan"))
		}
	}
	if len(found) != 1 {
		return engineThread{}
	}
	return engineThread{found[0]}
}

// waits reports whether the thread is seen to wait for events. A thread that
// runs, or waits for anything else, does not; nor does one that cannot be seen.
func (e engineThread) waits() bool {
	if e.wchan == "" {
		return false
	}
	in, err := os.ReadFile(e.wchan)
	return err == nil && (bytes.Contains(in, []byte("epoll")) || bytes.Contains(in, []byte("ep_poll")))
}
