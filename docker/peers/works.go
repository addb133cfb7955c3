package peers

import (
	"fmt"
	"math"
	"time"

	"fluent-bit-docker-logs/docker/plot"
)

// work is something that every agent does.
type work struct {
	name, title, what string

	containers int
	std        string // stdout or both
	payload    string // loggen's
	attrs      bool   // each record has what the log options labels, env and tag add
	logOpts    map[string]string
	backlog    int           // lines of each std stream that are there before the agent starts
	lines      int           // that each std stream writes while it runs
	rate       float64       // a second
	restarts   int           // of the agent, meanwhile
	idle       time.Duration // for which the agent is watched, where nothing is written
	fresh      bool          // the containers are new for each agent
	exact      bool          // lines are known by number in each round, because the agent's own count does not survive the work
	flush      string        // of Fluent Bit
}

// lineSize is that of a line without its end: 130 bytes with it.
const lineSize = 129

// works are all of them, of a scale.
func works(scale float64) []*work {
	lines := max(1000, int(1e6*scale))
	seconds := func(n float64) float64 { return max(2, math.Round(n*scale)) }
	span := seconds(20)
	rotation := seconds(10)
	many := func(n float64) int { return max(2, int(math.Round(n*scale))) }
	idle := time.Duration(seconds(60)) * time.Second
	return []*work{
		{
			name: "read", title: plot.Count(lines) + " lines", what: fmt.Sprintf("%s lines of 130 bytes from one json-file, from its beginning, out of the page cache", plot.Count(lines)),
			containers: 1, std: "stdout", payload: "plain", backlog: lines, flush: "0.2",
		},
		{
			name: "json", title: plot.Count(lines) + " lines of JSON, with attrs", what: "the same of lines that are JSON objects, each record with the log options `labels`, `env` and `tag`",
			containers: 1, std: "stdout", payload: "json", attrs: true, backlog: lines, flush: "0.2",
		},
		{
			name: "lone", title: fmt.Sprintf("%d containers, 4 lines a second each, %gs", many(60), span), what: fmt.Sprintf("%d containers that write 4 lines a second each, one by one, for %g s", many(60), span),
			containers: many(60), std: "stdout", payload: "plain", lines: int(4 * span), rate: 4, flush: "1",
		},
		{
			name: "restart", title: fmt.Sprintf("2,000 lines a second for %gs, 3 restarts", span), what: fmt.Sprintf("one container that writes 2,000 lines a second for %g s; the agent is stopped by SIGTERM three times, and started again %s later", span, away),
			containers: 1, std: "both", payload: "plain", lines: int(1000 * span), rate: 1000, restarts: 3, fresh: true, exact: true, flush: "1",
		},
		{
			name: "rotation", title: fmt.Sprintf("2,000 lines a second for %gs, `max-size=100k`, `max-file=3`", rotation), what: fmt.Sprintf("one container that writes 2,000 lines a second for %g s into a log with `max-size=100k`, `max-file=3`", rotation),
			containers: 1, std: "both", payload: "plain", lines: int(1000 * rotation), rate: 1000, logOpts: map[string]string{"max-size": "100k", "max-file": "3"}, fresh: true, exact: true, flush: "1",
		},
		{
			name: "idle", title: fmt.Sprintf("%d silent containers, %s", many(200), idle), what: fmt.Sprintf("%d containers that write nothing, watched for %s", many(200), idle),
			containers: many(200), std: "stdout", payload: "plain", idle: idle, flush: "1",
		},
	}
}

const (
	away = time.Second     // that a stopped agent is away
	aged = 4 * time.Second // that it runs at least before it is stopped: Fluent Bit has no handler of signals yet where it is young
)

// why says why an agent is left out of a work; empty: it is not.
func (w *work) why(p *Peer) string {
	switch {
	case p.live && w.backlog > 0:
		return "reads only what is written after its start"
	case p.single && (w.containers > 1 || w.restarts > 0 || w.idle > 0):
		return "reads one container, once"
	}
	return ""
}

// stds are the standard streams that its containers write to.
func (w *work) stds() int {
	if w.std == "both" {
		return 2
	}
	return 1
}

// written is how many lines come while an agent is watched.
func (w *work) written() int { return w.containers * w.stds() * (w.backlog + w.lines) }

// span is how long the containers write.
func (w *work) span() time.Duration {
	if w.rate == 0 {
		return 0
	}
	return time.Duration(float64(w.lines) / w.rate * float64(time.Second))
}
