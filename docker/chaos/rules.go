package chaos

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Rules by which a line may be missing, in the words of capture/README.md#guarantees.
const (
	ruleBefore    = "of a container that was stopped at the first start of Fluent Bit, and not started since"
	ruleRotated   = "rotated away before it was read, said as a gap"
	ruleFirst     = "rotated away before the first look at the log"
	ruleOutrun    = "left out by the Engine's API and rotated away before a comparison, which nobody can know"
	ruleTruncated = "written before somebody truncated or moved the log file"
	ruleRemoved   = "the container was removed, said"
	ruleUnseen    = "the container was removed before any event or list told of it: the Engine was away, or Fluent Bit"
	ruleDown      = "the container was removed while Fluent Bit was down, or had not reached the Engine since its start"
	ruleMemory    = "in Fluent Bit's memory when it was killed, or stopped while the output took nothing"
	ruleDisk      = "Fluent Bit could not write into its chunk, the disk was full"
	ruleDamaged   = "behind what the Engine could write in part, because its disk was full, said"
)

// writeFailed is what Fluent Bit says when it loses what it has counted: which of the appends beside it was refused, nobody can
// know then.
const writeFailed = "error writing data from"

// excuse is the rule by which line i of q may be missing; else why it may not.
func (w *world) excuse(q *sequence, i int, said said, log string, downs []span) (rule, why string) {
	first := firstLook(log).Add(time.Second)
	gap := said.has(q.id, "gap: ")
	removed := !q.removed.IsZero()
	switch {
	case q.started.Before(first) && !slices.ContainsFunc(q.want, func(l line) bool { return l.at.After(first) }):
		return ruleBefore, ""
	case w.p.Storage == "memory" && slices.ContainsFunc(downs, func(s span) bool {
		return (s.kind == "agent is killed" || w.did["sink refuses"]+w.did["sink hangs"] > 0) && q.want[i].at.Before(s.from)
	}):
		return ruleMemory, ""
	case w.did["disk full"] > 0 && strings.Contains(log, writeFailed):
		return ruleDisk, ""
	case !q.byFile && said.has(q.id, "damaged") && w.filledBefore(q.want[i].at.Add(time.Second)):
		return ruleDamaged, ""
	case gap && (q.moved || q.want[i].at.Before(q.cut.Add(2*time.Second))):
		return ruleTruncated, ""
	case removed && slices.ContainsFunc(downs, func(s span) bool {
		return s.meets(q.wentAt().Add(-5*time.Second), q.wentAt().Add(5*time.Second))
	}):
		return ruleDown, ""
	case removed && w.ill(q.wentAt(), q.wentAt()) && slices.ContainsFunc(downs, func(s span) bool { return s.meets(q.created, q.wentAt()) }):
		return ruleDown, "" // it was started again and did not reach the Engine before
	case removed && (said.has(q.id, "was removed before its log") || said.has(q.id, "was removed while ")):
		return ruleRemoved, ""
	case q.want[i].kept && !removed:
		return "", "the Engine still has them"
	case q.spec.MaxSize > 0 && gap:
		return ruleRotated, ""
	case q.spec.MaxSize > 0 && q.first < len(q.want) && slices.ContainsFunc(downs, func(s span) bool {
		// Killed before the first acknowledgement it has looked for the first time afterwards.
		return s.kind == "agent is killed" && s.meets(q.want[q.first].at, q.want[q.first].at.Add(3*time.Second)) && q.want[i].at.Before(s.to.Add(time.Second))
	}):
		return ruleFirst, ""
	case (q.spec.MaxSize > 0 || q.moved || !q.cut.IsZero()) && i < q.first:
		return ruleFirst, ""
	case removed && len(said[q.id[:12]]) == 0 && w.ill(q.created, q.wentAt()):
		return ruleUnseen, ""
	case q.spec.MaxSize > 0 && !q.byFile:
		return ruleOutrun, ""
	case removed:
		return "", "the container was removed, and nothing is said"
	}
	return "", "nothing is said"
}

// ill says whether anything was wrong with the Engine, the way to it, or Fluent Bit between two moments.
func (w *world) ill(from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(append(slices.Clone(w.wounds), w.downs...), func(s span) bool {
		return s.meets(from.Add(-15*time.Second), to) // so long it may take to connect again
	})
}

// filledBefore says whether the Engine's disk was full before a moment.
func (w *world) filledBefore(at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.wounds, func(s span) bool { return s.kind == engineDiskFull && s.from.Before(at) })
}

// firstLook is when the plugin first saw the Engine's containers.
func firstLook(log string) time.Time {
	if m := connected.FindStringSubmatch(log); m != nil {
		at, _ := time.ParseInLocation("2006/01/02 15:04:05", m[1], time.Local)
		return at
	}
	return time.Now() // it has not yet
}

// The host does not say when.
var connected = regexp.MustCompile(`\[(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d).*connected to the Engine`)

// said is what the log says of each container, by its short id.
type said map[string][]string

var containerID = regexp.MustCompile(` container=\S+ id=(\S+)`)

func sayings(log string) said {
	s := said{}
	for text := range strings.Lines(log) {
		if m := containerID.FindStringSubmatch(text); m != nil {
			s[m[1]] = append(s[m[1]], text)
		}
	}
	return s
}

func (s said) has(id, text string) bool {
	return slices.ContainsFunc(s[id[:12]], func(l string) bool { return strings.Contains(l, text) })
}
