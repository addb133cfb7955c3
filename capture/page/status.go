package page

import "time"

// Status is all that the page shows.
type Status struct {
	At         time.Time
	Version    string // of the plugin
	Instances  []Instance
	Containers []Container
}

// Instance is one input.
type Instance struct {
	Name       string
	Ready      bool
	Problems   []string // besides the Engine's and those of single containers
	Engine     Engine
	Goroutines int // of the process
	Since      time.Time
	Said       string // the last warning or error
	SaidAt     time.Time
	Rates      []float32 // lines a second, oldest first

	Lines, Bytes, Gaps, Rotations, Stalls float64
	Open, OpenWarn, OpenLimit             int // file descriptors of the process
	Waiting, WaitingLimit                 int // bytes for Fluent Bit
	OnTheWay                              uint64
}

// Engine is what is known of the Engine.
type Engine struct {
	Up           bool
	Version, API string    // "" before the first connect
	Since        time.Time // that it is Up, or not
	NextTry      time.Time // to connect; zero while it is Up
	Error        string    // of the last try
}

// Container is the capture of one container.
type Container struct {
	Instance, ID, Name string
	State              string
	Failing            bool      // reading fails, also while it is tried again
	Since              time.Time // that the state lasts, or that reading fails
	NextTry            time.Time // to read it, where that failed; zero: none is due
	Reader             string
	Position           time.Time // of the last record read; zero before the first
	Lag, Age           float64   // seconds
	Rotations, Lines   uint64
	Error              string // the last one
	ErrorAt            time.Time
	Rates              []float32 // lines a second, oldest first
}

// The states of a container, worst first. Those below Behind are not read.
const (
	Retrying     = "retrying"
	NotInspected = "not inspected" // the Engine does not tell what it is
	Unreadable   = "unreadable"    // for good: its log driver keeps nothing that can be read
	NoEngine     = "no Engine"     // whatever its stream was doing when that went away
	Waiting      = "waiting"
	Blocked      = "blocked"
	Behind       = "behind" // it is read, and lags
	Opening      = "opening"
	Reading      = "reading"
	Stopped      = "stopped"
	Removed      = "removed"
)

// worst is each state's place in the order of trouble.
var worst = map[string]int{
	Retrying: 0, NotInspected: 1, Unreadable: 2, NoEngine: 3, Waiting: 4, Blocked: 5, Behind: 6, Opening: 7, Reading: 8, Stopped: 9, Removed: 10,
}

// muchLag is from how many seconds on a container that is read is in trouble.
const muchLag = 60

// state is the state that is shown: no stream is well without an Engine.
func (c *Container) state(engineUp bool) string {
	switch at, known := worst[c.State]; {
	case !known:
		return Waiting
	case at >= worst[Stopped] || c.State == Unreadable:
		return c.State
	case !engineUp:
		return NoEngine
	case c.Failing:
		return Retrying
	case c.State == Reading && c.Lag > muchLag:
		return Behind
	}
	return c.State
}

// kind is the colour of a state: good, wait, bad or off. Its name stands beside it.
func kind(state string) string {
	switch at := worst[state]; {
	case at <= worst[Unreadable]:
		return "bad"
	case at <= worst[Opening]:
		return "wait"
	case state == Reading:
		return "good"
	}
	return "off"
}

// isRead says whether what the container writes is read.
func isRead(state string) bool {
	return worst[state] >= worst[Behind] && worst[state] <= worst[Reading]
}

// isNotRead says whether the container should be read, and is not.
func isNotRead(state string) bool { return worst[state] < worst[Behind] }
