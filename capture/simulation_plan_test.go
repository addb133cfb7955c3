package capture_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/decode"
)

// A plan is what happens in one simulation: drawn from a seed, or read from a
// file of testdata/chaos. Its times are milliseconds.
type plan struct {
	Seed       uint64          `json:"seed,omitempty"`
	API        string          `json:"api"` // of the Engine
	Reader     string          `json:"reader"`
	Rotate     int64           `json:"rotate"`
	Heartbeat  int64           `json:"heartbeat"`
	Batch      int             `json:"batch"`
	Limit      int             `json:"limit"`
	MaxStreams int             `json:"max_streams"`
	Live       bool            `json:"live_restore,omitempty"`
	Multiline  bool            `json:"multiline,omitempty"`
	Latency    int64           `json:"latency,omitempty"` // that a request has on its way, and its answer, at most
	Pace       int             `json:"pace,omitempty"`    // bytes a second of a log's answer, 0: any
	Containers []planContainer `json:"containers"`
	Steps      []step          `json:"steps"`
}

type planContainer struct {
	TTY        bool   `json:"tty,omitempty"`
	Driver     string `json:"driver,omitempty"`
	Files      bool   `json:"files,omitempty"` // its log files can be read
	AutoRemove bool   `json:"auto_remove,omitempty"`
	MaxSize    int64  `json:"max_size,omitempty"`
	MaxFile    int    `json:"max_file,omitempty"`
	Compress   bool   `json:"compress,omitempty"`
}

// step is one thing that happens, After the one before. What lasts goes on
// beside the steps that follow.
type step struct {
	After int64  `json:"after"`
	Do    string `json:"do"`
	On    int    `json:"on,omitempty"`  // a container
	Std   int    `json:"std,omitempty"` // stdout or stderr
	N     int    `json:"n,omitempty"`
	Size  int    `json:"size,omitempty"`
	For   int64  `json:"for,omitempty"`
	Kind  string `json:"kind,omitempty"`
	How   string `json:"how,omitempty"`
}

func (s step) String() string {
	b, _ := json.Marshal(s)
	return strings.Trim(string(b), "{}")
}

// words tells the plan, a step a line.
func (p *plan) words() string {
	var b strings.Builder
	head := *p
	head.Steps = nil
	text, _ := json.Marshal(head)
	fmt.Fprintf(&b, "%s\n", text)
	at := time.Duration(0)
	for i, s := range p.Steps {
		at += time.Duration(s.After) * time.Millisecond
		fmt.Fprintf(&b, "%3d %12s  %s\n", i, at, s)
	}
	return b.String()
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

var simAPIs = []string{"1.41", "1.41", "1.42", "1.43", "1.44", "1.45", "1.47", "1.51", "1.52"}

// drawPlan draws a plan. Each has only some of the kinds of steps, so that those
// that hide each other's faults do not always come together.
func drawPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 4711))
	p := &plan{
		Seed:       seed,
		API:        pick(r, simAPIs...),
		Reader:     pick(r, readerFollow, readerPoll, readerAuto, readerAuto, readerAuto),
		Rotate:     pick(r, int64(1_000), 5_000, 30_000, 600_000),
		Heartbeat:  pick(r, int64(2_000), 10_000, 30_000, 60_000),
		Batch:      pick(r, 4<<10, 64<<10, 256<<10),
		Limit:      pick(r, 32<<10, 1<<20, 16<<20),
		MaxStreams: pick(r, 1, 2, 100),
		Live:       r.IntN(2) == 0,
	}
	for range 1 + r.IntN(4) {
		c := planContainer{TTY: r.IntN(5) == 0, Driver: pick(r, "", "", "", "local", "journald"), AutoRemove: r.IntN(6) == 0}
		c.Files = c.Driver == "" && p.Reader == readerAuto && r.IntN(3) > 0
		// Where there are no frames, nothing tells that records are left out.
		if c.Driver != "journald" && (!c.TTY || c.Files) && r.IntN(2) == 0 {
			c.MaxSize, c.MaxFile, c.Compress = pick(r, int64(20<<10), 100<<10, 1<<20), pick(r, 1, 2, 5), r.IntN(3) == 0
		}
		p.Containers = append(p.Containers, c)
	}
	p.Multiline = r.IntN(4) == 0
	if r.IntN(2) == 0 {
		p.Latency, p.Pace = pick(r, int64(2), 20, 100, 400), pick(r, 0, 0, 200_000, 2_000_000)
	}
	kinds, total := map[string]bool{}, 0
	for _, w := range weights {
		kinds[w.do] = w.do == "lines" || (r.IntN(2) == 0 && w.do != *simNot)
		if kinds[w.do] {
			total += w.n
		}
	}
	steps := 10 + r.IntN(50)
	if busy := r.IntN(6) == 0; busy {
		p.leftBehind(r)
		steps = r.IntN(10)
	}
	for range steps {
		k := r.IntN(total)
		for _, w := range weights {
			if !kinds[w.do] {
				continue
			}
			if k -= w.n; k < 0 {
				p.Steps = append(p.Steps, drawStep(r, w.do, len(p.Containers)))
				break
			}
		}
	}
	// A file that is gone is read through the API, which ends at a time that does not parse.
	gone := slices.ContainsFunc(p.Steps, func(s step) bool { return s.Do == "move log" || s.Do == "save log" })
	for i := range p.Steps {
		if s := &p.Steps[i]; gone && s.Kind == "unparsable" {
			s.Kind = "undated"
		}
	}
	return p
}

// leftBehind begins a plan with a follow that leaves records out all the time, while
// the Engine takes its time for each look at what it holds.
func (p *plan) leftBehind(r *rand.Rand) {
	p.Reader, p.Rotate, p.Latency, p.Pace = readerFollow, pick(r, int64(1_000), 1_000, 5_000), pick(r, int64(100), 400, 800), 0
	p.Containers[0] = planContainer{Driver: pick(r, "", "local")}
	for i := range p.Containers { // as drawn for such a reader
		if c := &p.Containers[i]; c.Files {
			*c = planContainer{TTY: c.TTY, AutoRemove: c.AutoRemove}
		}
	}
	p.Steps = append(p.Steps,
		step{After: 2_000, Do: "writes on", Std: decode.Stdout, N: 2_000 + r.IntN(4_000), Size: 20, For: pick(r, int64(5), 10), Kind: pick(r, "numbered", "trace")},
		step{After: 2_000, Do: "leaves out", N: 1 + r.IntN(20), Size: pick(r, 50, 100, 300, 1_000), For: 60_000},
		step{After: 15_000, Do: "lines", Std: decode.Stderr, N: 1, Size: 20, Kind: "numbered"})
}

// weights is how often each kind of step comes.
var weights = []struct {
	do string
	n  int
}{
	{"lines", 40}, {"writes on", 10}, {"part", 12}, {"odd times", 4},
	{"stop", 4}, {"start", 8}, {"restart", 5}, {"die", 4}, {"runs", 3}, {"rename", 2}, {"pause container", 1},
	{"remove", 2}, {"recreate", 3}, {"out of the filter", 2}, {"into the filter", 3}, {"other filter", 3},
	{"rotate log", 5}, {"tear", 2}, {"garbage", 2}, {"truncate log", 2}, {"copytruncate", 2}, {"move log", 1}, {"save log", 1},
	{"engine down", 2}, {"engine crash", 2}, {"engine upgrade", 1}, {"machine crash", 2},
	{"engine hangs", 2}, {"engine refuses", 6}, {"slow first byte", 2}, {"throttle", 2}, {"held", 2},
	{"events lost", 3}, {"events cut", 2}, {"events late", 1}, {"list lacks", 1},
	{"cut", 3}, {"end", 2}, {"leaves out", 3}, {"silence", 2}, {"system error", 2}, {"replay", 2}, {"skip", 2}, {"cut after", 2}, {"injected", 2}, {"no record", 1},
	{"clock", 4},
	{"sink pauses", 5}, {"sink refuses", 3}, {"sink is late", 3},
	{"agent restarts", 6}, {"agent is killed", 6}, {"agent is away", 4},
}

func drawStep(r *rand.Rand, do string, containers int) step {
	s := step{Do: do, After: drawTime(r), On: r.IntN(containers), Std: pick(r, decode.Stdout, decode.Stdout, decode.Stderr)}
	switch do {
	case "lines", "writes on":
		s.N, s.Size = drawCount(r), drawSize(r)
		s.Kind = pick(r, "numbered", "numbered", "numbered", "same", "json", "utf8", "binary", "empty", "date", "trace")
		if s.Kind != "empty" && s.Size*s.N > 1<<20 {
			s.N = max(1, 1<<20/s.Size)
		}
		s.For = pick(r, int64(0), 0, 1, 20, 1_000) // between two lines
		if do == "writes on" {                     // beside what else happens
			s.N, s.Size, s.For = 100+r.IntN(3_000), min(s.Size, 300), pick(r, int64(1), 5, 50, 300)
		}
	case "part":
		if s.Size = drawSize(r); r.IntN(2) == 0 {
			s.Size += decode.ChunkSize // the line is read in part
		}
	case "odd times":
		s.N, s.Size, s.Kind = 1+r.IntN(5), min(drawSize(r), 8_192), pick(r, "undated", "unparsable", "back", "repeated", "future")
	case "runs":
		s.N, s.For = 1+r.IntN(10), pick(r, int64(0), 1, 100)
	case "clock":
		s.For = pick(r, int64(-7_200_000), -3_600_000, -10_000, -500, 500, 10_000, 3_600_000)
	case "leaves out":
		s.For, s.N, s.Size = 10_000+drawTime(r), 1+r.IntN(20), pick(r, 20, 100, 500, 3_000) // of these each so many milliseconds
	case "events lost", "silence", "replay", "skip", "list lacks":
		s.N = 1 + r.IntN(20)
	case "cut after":
		s.N, s.Size = 1+r.IntN(4), r.IntN(20_000)
	case "engine refuses":
		s.For = drawTime(r)
		s.Kind = pick(r, "", "logs", "logs", "inspect", "list", "events")
		s.How = pick(r, "500", "403", "401", "hang", "cut", "garbage", "nothing")
	case "engine upgrade":
		s.For, s.Kind = drawTime(r), pick(r, simAPIs...)
	case "slow first byte":
		s.For, s.Size = drawTime(r), pick(r, 50, 300, 1_000, 3_000, 12_000)
	case "held":
		s.For = drawTime(r)
	case "throttle":
		s.For, s.Size = drawTime(r), pick(r, 1_000, 50_000)
	case "events late":
		s.For, s.Size = drawTime(r), pick(r, 100, 5_000, 60_000)
	case "injected", "no record":
		s.Kind = pick(r, "text", "empty frame", "unknown frame", "huge frame")
	case "sink refuses":
		s.For, s.N = drawTime(r), r.IntN(3) // batches that are kept before
	case "engine down", "engine crash", "machine crash", "engine hangs", "sink pauses", "sink is late", "agent is away", "pause container":
		s.For = drawTime(r)
	}
	return s
}

// drawTime is from nothing to a quarter of an hour, all magnitudes alike.
func drawTime(r *rand.Rand) int64 {
	most := pick(r, 1, 10, 100, 1_000, 10_000, 60_000, 900_000)
	return r.Int64N(int64(most) + 1)
}

func drawCount(r *rand.Rand) int { return 1 + r.IntN(pick(r, 1, 5, 5, 50, 50, 500, 3000)) }

// drawSize is a length of a line, often one at a border.
func drawSize(r *rand.Rand) int {
	border := pick(r, 0, 16, 100, 8_192, 16_384, 2*16_384, 5*16_384, 6*16_384)
	switch r.IntN(3) {
	case 0:
		return max(0, border+r.IntN(9)-4)
	case 1:
		return r.IntN(200)
	}
	return r.IntN(border + 1)
}
