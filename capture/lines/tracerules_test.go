package lines

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/testkit"
)

// joined is the oracle: what the lines of one std stream become.
func joined(l Languages, lines []string) (records []string) {
	state := noTrace
	for _, line := range lines {
		next := noTrace
		if state != noTrace {
			next = state.next([]byte(line))
		}
		if next != noTrace {
			records[len(records)-1] += "\n" + line
		} else {
			next = l.begins([]byte(line))
			records = append(records, line)
		}
		state = next
	}
	return records
}

// Traces of each language are joined, by their own rules and by all together.
func TestTraceRules(t *testing.T) {
	for i, name := range languageNames {
		for _, l := range []Languages{1 << i, javaTraces | pythonTraces | goTraces | rubyTraces} {
			checkSequence(t, name, testkit.Traces[name], joined(l, testkit.LinesOf(testkit.Traces[name])))
		}
		for j := range languageNames {
			if other := Languages(1) << j; i != j && name != "java" {
				lines := testkit.LinesOf(testkit.Traces[name][:1])
				checkSequence(t, name, lines, joined(other, lines))
			}
		}
	}
}

// fluentBitRules are the built-in multiline parsers of Fluent Bit 5.1.1: what a
// state continues with, and the state then.
var fluentBitRules = map[string][]struct{ from, expr, to string }{
	"java": {
		{"start", `.(?:Exception|Error|Throwable|V8 errors stack trace)(?::|\r|$)`, "message"},
		{"nested", `.(?:Exception|Error|Throwable|V8 errors stack trace)(?::|\r|$)`, "message"},
		{"message", `^[\t ]*nested exception is:[\t ]*$`, "nested"},
		{"message", `^\r?$`, "message"},
		{"message frame", `^[\t ]+(?:eval )?at `, "frame"},
		{"message frame", `^[\t ]+--- End of inner exception stack trace ---$`, "frame"},
		{"message frame", `^--- End of stack trace from previous location where exception was thrown ---$`, "frame"},
		{"message frame", `^[\t ]*(?:Caused by|Suppressed):`, "message"},
		{"message frame", `^[\t ]*\.\.\. \d+ (?:more|common frames omitted)`, "frame"},
	},
	"python": {
		{"start", `^Traceback \(most recent call last\):$`, "frame"},
		{"frame", `^[\t ]+File `, "frame"},
		{"frame", `^[\t ]+[^\t ]`, "frame"},
		{"frame", `^(?:[^\s.():]+\.)*[^\s.():]+:`, "start"},
	},
	"go": {
		{"start", `\bpanic: `, "message"},
		{"start", `http: panic serving`, "between"},
		{"message call", `^$`, "between"},
		{"message", `^\[signal `, "message"},
		{"between", `^goroutine \d+ \[[^\]]+\]:$`, "call"},
		{"call", `^(?:[^\s.:]+\.)*[^\s.():]+\(|^created by `, "place"},
		{"place", `^[\t ]`, "call"},
	},
	"ruby": {
		{"start", `^.+:\d+:in\s+.*`, "frame"},
		{"frame", `^[\t ]+from +.*:\d+:in .*`, "frame"},
	},
}

var stateNames = map[string]traceState{
	"java nested": javaNested, "java message": javaMessage, "java frame": javaFrame, "python frame": pythonFrame,
	"go message": goMessage, "go between": goBetween, "go call": goCall, "go place": goPlace, "ruby frame": rubyFrame,
}

// What Fluent Bit's own parsers join is joined: lines are put together from what
// their rules look for, and what is no rule's.
func TestTraceRulesAreFluentBits(t *testing.T) {
	common := []string{"", " ", "\t", "a", "x.y", ":", ": ", "\r", "12", "(", ")", "é", "_"}
	parts := map[string][]string{
		"java": {"at ", "eval at ", "Exception", "Error", "Throwable", "V8 errors stack trace", "nested exception is:",
			"--- End of inner exception stack trace ---", "--- End of stack trace from previous location where exception was thrown ---",
			"Caused by", "Suppressed", "... ", " more", " common frames omitted"},
		"python": {"Traceback (most recent call last):", "File ", "x.YError", "During handling of the above exception"},
		"go":     {"panic: ", "http: panic serving", "[signal ", "goroutine 1 ", "[run]:", "main.", "(*T).", "f(", "created by ", "exit status "},
		"ruby":   {":3:in ", "from ", "a.rb", ":in "},
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	hits := map[string]int{}
	for i, name := range languageNames {
		parts := append(parts[name], common...)
		for range 5_000 {
			line := ""
			for range 1 + rnd.IntN(4) {
				line += parts[rnd.IntN(len(parts))]
			}
			for _, r := range fluentBitRules[name] {
				if !compiled(r.expr).MatchString(line) {
					continue
				}
				hits[name+" "+r.expr]++
				for _, from := range strings.Fields(r.from) {
					if have := Languages(1 << i).begins([]byte(line)); from == "start" && have == noTrace {
						t.Fatalf("%s: %q begins nothing", name, line)
					}
					if have := stateNames[name+" "+from].next([]byte(line)); from != "start" && have == noTrace {
						t.Fatalf("%s: %q does not continue a trace behind %s", name, line, from)
					}
				}
			}
		}
	}
	for name, rules := range fluentBitRules {
		for _, r := range rules {
			if hits[name+" "+r.expr] == 0 {
				t.Errorf("%s: nothing matched %s", name, r.expr)
			}
		}
	}
}

var regexps = map[string]*regexp.Regexp{}

func compiled(expr string) *regexp.Regexp {
	if regexps[expr] == nil {
		regexps[expr] = regexp.MustCompile(expr)
	}
	return regexps[expr]
}

// A line that belongs to no trace costs no allocation, nor does one that does.
func TestTraceRulesDoNotAllocate(t *testing.T) {
	const all = javaTraces | pythonTraces | goTraces | rubyTraces
	line := []byte(strings.Repeat("2026-01-02 INFO the errors: 0, at 12:30 in ", 5))
	if n := testing.AllocsPerRun(1000, func() {
		if all.begins(line) != noTrace {
			panic("it begins a trace")
		}
		for s := noTrace; s <= rubyFrame; s++ {
			s.next(line)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
