package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Plan is what happens in one run of chaos. It is drawn from a seed, or read from a file. Its times are milliseconds.
// Its words are those of the simulation (capture/simulation_plan_test.go).
type Plan struct {
	Seed       uint64      `json:"seed,omitempty"`
	Reader     string      `json:"reader"`
	Rotate     int64       `json:"rotate"`
	Heartbeat  int64       `json:"heartbeat"`
	Batch      int         `json:"batch"`
	Limit      int         `json:"limit"`
	MaxStreams int         `json:"max_streams"`
	Storage    string      `json:"storage"` // of Fluent Bit: filesystem or memory
	Containers []Container `json:"containers"`
	Steps      []Step      `json:"steps"`
}

// Container is one that writes.
type Container struct {
	TTY      bool   `json:"tty,omitempty"`
	Driver   string `json:"driver,omitempty"` // json-file if empty
	MaxSize  int64  `json:"max_size,omitempty"`
	MaxFile  int    `json:"max_file,omitempty"`
	Compress bool   `json:"compress,omitempty"`

	Life  string  `json:"life"`            // one of the lives
	Start int64   `json:"start,omitempty"` // after the plan's begin; before the agent's start if 0
	Std   string  `json:"std"`
	Kinds string  `json:"kinds"`          // of lines, see docker/loggen
	Rate  float64 `json:"rate"`           // lines a second of each std stream
	Burst int     `json:"burst"`          // that come at once
	Lines int     `json:"lines"`          // of each run and std stream
	Part  bool    `json:"part,omitempty"` // the last line of a run has no end
}

// Lives of a container. What ends is started again by steps alone, but for what the Engine restarts.
const (
	lifeStays    = "stays"
	lifeEnds     = "ends"
	lifeDies     = "dies"     // with a status other than 0
	lifeRemoved  = "--rm"     // ends, and is removed by the Engine
	lifeRestarts = "restarts" // dies, and is started again by a restart policy
)

// Step is one thing that happens, After the one before. A step with For goes on for so long, also beside the next ones.
type Step struct {
	After int64  `json:"after"`
	Do    string `json:"do"`
	On    int    `json:"on,omitempty"` // a container
	N     int    `json:"n,omitempty"`
	Size  int    `json:"size,omitempty"`
	For   int64  `json:"for,omitempty"`
}

// engineDiskFull is the step in which the Engine can write nothing.
const engineDiskFull = "engine's disk full"

// String implements fmt.Stringer.
func (s Step) String() string {
	b, _ := json.Marshal(s)
	return strings.Trim(string(b), "{}")
}

// Words tells the plan, a container and a step a line.
func (p *Plan) Words() string {
	var b strings.Builder
	head := *p
	head.Steps, head.Containers = nil, nil
	text, _ := json.Marshal(head)
	fmt.Fprintf(&b, "%s\n", text)
	for i, c := range p.Containers {
		text, _ := json.Marshal(c)
		fmt.Fprintf(&b, " container %d  %s\n", i, text)
	}
	at := time.Duration(0)
	for i, s := range p.Steps {
		at += time.Duration(s.After) * time.Millisecond
		fmt.Fprintf(&b, "%3d %8s  %s\n", i, at, s)
	}
	return b.String()
}

// lacks has the plan do without a log driver: there is none here.
func (p *Plan) lacks(driver string) {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Driver == driver {
			c.Driver = "local"
		}
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// Draw draws a plan. Its reader is reader, unless that is empty.
func Draw(seed uint64, reader string) *Plan {
	r := rand.New(rand.NewPCG(seed, 4711))
	p := &Plan{
		Seed:       seed,
		Reader:     pick(r, "auto", "follow", "file", "poll"),
		Rotate:     pick(r, int64(1_000), 2_000, 5_000, 30_000),
		Heartbeat:  pick(r, int64(1_000), 2_000, 5_000),
		Batch:      pick(r, 4<<10, 64<<10, 256<<10),
		Limit:      pick(r, 1<<20, 16<<20),
		MaxStreams: pick(r, 1, 2, 200),
		Storage:    pick(r, "filesystem", "filesystem", "filesystem", "filesystem", "filesystem", "memory"),
	}
	if reader != "" {
		p.Reader = reader
	}
	for range 2 + r.IntN(4) {
		p.Containers = append(p.Containers, drawContainer(r, p.Reader))
	}
	for range 6 + r.IntN(12) {
		p.Steps = append(p.Steps, drawStep(r, len(p.Containers)))
	}
	return p
}

func drawContainer(r *rand.Rand, reader string) Container {
	c := Container{
		TTY:   r.IntN(5) == 0,
		Life:  pick(r, lifeStays, lifeStays, lifeStays, lifeEnds, lifeDies, lifeRemoved, lifeRestarts),
		Std:   pick(r, "stdout", "both", "both"),
		Kinds: pick(r, "text", "text,empty,same", "border", "text,border,json,utf8,invalid,empty,same", "utf8,json,invalid", "same", "empty,same"),
		Burst: pick(r, 1, 1, 20, 200),
		Rate:  pick(r, 0.5, 5, 50, 500, 2000),
		Part:  r.IntN(3) == 0,
	}
	if r.IntN(3) == 0 && reader != "file" {
		c.Driver = pick(r, "local", "local", driverJournald)
	}
	if r.IntN(2) == 0 && c.Driver != driverJournald {
		c.MaxSize, c.MaxFile, c.Compress = pick(r, int64(20<<10), 200<<10, 2<<20), pick(r, 1, 3, 5), r.IntN(3) == 0
		if c.MaxFile == 1 {
			c.Compress = false // the Engine refuses that
		}
	}
	if strings.Contains(c.Kinds, "border") { // 30 KB each
		c.Rate = min(c.Rate, 20)
	}
	if c.Driver == driverJournald { // which takes 10,000 lines of an Engine in half a minute
		c.Rate, c.Burst = min(c.Rate, 50), min(c.Burst, 20)
	}
	c.Lines = 1_000_000
	if c.Life != lifeStays {
		c.Lines = 1 + r.IntN(pick(r, 1, 20, max(1, int(3*c.Rate))))
	}
	if r.IntN(2) == 0 || c.Life != lifeStays && r.IntN(4) > 0 { // what has ended before the agent's start is not captured
		c.Start = 1_000 + drawTime(r)
	}
	return c
}

// weights is how often each kind of step comes.
var weights = []struct {
	do string
	n  int
}{
	{"stop", 3}, {"start", 8}, {"restart", 4}, {"kill", 3}, {"remove", 2}, {"recreate", 2}, {"rename", 2}, {"pause container", 2},
	{"truncate log", 2}, {"move log", 1},
	{"engine stops", 3}, {"engine is killed", 3}, {"engine restarts", 2},
	{"cut", 3}, {"proxy away", 3}, {"slow", 2}, {"half open", 3},
	{"disk full", 2}, {engineDiskFull, 2},
	{"agent restarts", 3}, {"agent is killed", 4}, {"agent is away", 2}, {"agent reloads", 3}, {"agent stops", 2},
	{"sink refuses", 4}, {"sink hangs", 2},
}

func drawStep(r *rand.Rand, containers int) Step {
	total := 0
	for _, w := range weights {
		total += w.n
	}
	k, s := r.IntN(total), Step{}
	for _, w := range weights {
		if k -= w.n; k < 0 {
			s.Do = w.do
			break
		}
	}
	s.After = drawTime(r)
	switch s.Do {
	case "stop", "start", "restart", "kill", "remove", "recreate", "rename", "truncate log", "move log":
		s.On = r.IntN(containers)
		if s.Do == "start" || s.Do == "restart" {
			s.N = pick(r, 1, 1, 1, 5) // times
		}
	case "pause container":
		s.On, s.For = r.IntN(containers), drawTime(r)
	case "engine stops", "engine is killed", "proxy away", "half open", "disk full", engineDiskFull, "agent is away", "agent stops", "sink refuses", "sink hangs":
		s.For = drawTime(r)
		if r.IntN(8) == 0 {
			s.For = 15_000 + r.Int64N(15_000) // until it must be noticed
		}
	case "slow":
		s.For, s.Size = drawTime(r), pick(r, 1_000, 50_000, 1_000_000) // bytes a second
	}
	return s
}

// drawTime is from nothing to some seconds, all magnitudes alike.
func drawTime(r *rand.Rand) int64 {
	return r.Int64N(int64(pick(r, 10, 100, 1_000, 3_000, 8_000)) + 1)
}
