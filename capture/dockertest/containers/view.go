package containers

import "time"

// View is a container as it is at a moment.
type View struct {
	Spec           *Container // immutable; its Name is the first one
	Name           string
	State          string // created, running, paused, exited, removed
	Created        time.Time
	Started, Ended time.Time
	ExitCode, Pid  int
	Untagged       bool // the list names its image by the id
}

// Runs says whether it is running or paused.
func (v *View) Runs() bool { return v.State == "running" || v.State == "paused" }
