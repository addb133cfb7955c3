package capture

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
)

// traceTexts are records of a container each, some of many lines, as programs
// print them.
var traceTexts = map[string][]string{
	"java": {
		"12:00:01 INFO starting, no Error yet",
		"java.lang.IllegalStateException: no cart\n\tat shop.Cart.open(Cart.java:12)\n\tat shop.Main.main(Main.java:3)\n" +
			"Caused by: java.io.IOException: gone\n\tat shop.Store.get(Store.java:77)\n\t... 2 more\n" +
			"\tSuppressed: java.lang.Exception: close\n\t\tat shop.Store.close(Store.java:80)\n\t\t... 3 common frames omitted",
		"12:00:02 INFO next",
		"Exception in thread \"main\" java.lang.OutOfMemoryError\n\tat shop.Main.main(Main.java:9)",
		"12:00:03 ERROR shop.Main - org.Outer$InnerException: a\nnested exception is:\n\tjava.io.IOException: b\n\tat x.Y.z(Y.java:1)",
		"Error: boom\r\n    at foo (/app/a.js:1:2)\r\n    at async Promise.all (index 0)\r",
		"Unhandled exception. System.InvalidOperationException: x\n ---> System.IO.IOException: y\n   at A.B() in /src/a.cs:line 1\n" +
			"   --- End of inner exception stack trace ---\n   at A.C()\n--- End of stack trace from previous location where exception was thrown ---\n   at A.D()",
		"one Error: of many", "two Error: of many",
		"12:00:03 INFO end",
		"\tat nowhere", "... 2 more",
	},
	"python": {
		"serving",
		"Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    f()\n    ~^^\nKeyError: 'x'\n\n" +
			"During handling of the above exception, another exception occurred:\n\n" +
			"Traceback (most recent call last):\n  File \"a.py\", line 5, in <module>\n    g()\nshop.errors.ValueError: bad",
		"next",
		"Traceback (most recent call last):\n  File \"a.py\", line 9, in <module>\nKeyboardInterrupt",
		"ERROR in handler: Traceback (most recent call last):\n  File \"b.py\", line 9, in <module>\n    x\nValueError: y",
		"Traceback (most recent call last):\n  File \"c.py\", line 9, in <module>\n    x\nValueError: z",
		"end of it",
	},
	"go": {
		"2026/01/02 listening on :80",
		"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.f(0x1, {0xc000, 0x2})\n" +
			"\t/src/main.go:7 +0x1d\nmain.(*T).run(...)\n\t/src/main.go:9\ncreated by main.main in goroutine 1\n" +
			"\t/src/main.go:12 +0x20\nexit status 2",
		"2026/01/02 listening on :80",
		"panic: a [recovered]\n\tpanic: b\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n\n" +
			"goroutine 7 gp=0xc0 m=0 mp=0x1 [running]:\ngithub.com/x/y.F[...]({0x1, 0x2})\n\t/y.go:3 +0x1\n...additional frames elided...\n\n" +
			"goroutine 8 [chan receive, 5 minutes]:\nmain.g()\n\t/src/main.go:9",
		"2026/01/02 http: panic serving 127.0.0.1:1: boom\ngoroutine 33 [running]:\nnet/http.(*conn).serve.func1()\n\t/http.go:1 +0x1",
		"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:5 +0x1",
		"2026/01/02 don'tpanic: no", "main.f()", "goroutine 1 [running]:",
	},
	"ruby": {
		"booting",
		"a.rb:2:in `divide': divided by 0 (ZeroDivisionError)\n\tfrom a.rb:7:in `block in run'\n\tfrom a.rb:9:in `<main>'",
		"ready :in 5", "\tfrom nowhere",
	},
}

func linesOf(texts []string) []string { return strings.Split(strings.Join(texts, "\n"), "\n") }

// joined is the oracle: what the lines of one std stream become.
func joined(l languages, lines []string) (records []string) {
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
		for _, l := range []languages{1 << i, javaTraces | pythonTraces | goTraces | rubyTraces} {
			checkSequence(t, name, traceTexts[name], joined(l, linesOf(traceTexts[name])))
		}
		for j := range languageNames {
			if other := languages(1) << j; i != j && name != "java" {
				lines := linesOf(traceTexts[name][:1])
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
					if have := languages(1 << i).begins([]byte(line)); from == "start" && have == noTrace {
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

// tracingStream is a stream that joins traces, and that no timer looks at.
func tracingStream(t *testing.T, l languages) *stream {
	s := benchStream(t)
	s.col.lines.close()
	s.col.out.BatchSize = 4 << 10 // seals within
	s.joinsTraces(l)
	return s
}

// takeSome takes batches as Fluent Bit does, and acknowledges them.
func takeSome(t *testing.T, s *stream, batches int) (rs []got, more bool) {
	t.Helper()
	for range batches {
		b := s.col.out.Next()
		if b == nil {
			return rs, false
		}
		some, err := decodeRecords("", b.Buf)
		must(t, err)
		rs = append(rs, some...)
		n := b.Records
		s.col.out.Appended()
		s.col.out.Ack(ackedOf(s.col.out) + uint64(n))
	}
	return rs, true
}

func takeAll(t *testing.T, s *stream) []got {
	rs, _ := takeSome(t, s, 1<<10)
	return rs
}

// A restart at any moment, while traces and long lines of both std streams
// overlap, brings each line once, in the same records, with the time of the
// first line. It begins no further back than what is incomplete.
func TestRestartsWithinTraces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var texts []string
	for _, name := range languageNames {
		texts = append(texts, traceTexts[name]...)
	}
	// What each std stream writes: texts in any order, now and then a long line.
	all := javaTraces | pythonTraces | goTraces | rubyTraces
	var pieces [3][]decode.Entry
	var want, wantTimes [3][]string
	for std := uint8(decode.Stdout); std <= decode.Stderr; std++ {
		var lines []string
		for range 300 {
			text := strings.Split(texts[rnd.IntN(len(texts))], "\n")
			if rnd.IntN(3) == 0 {
				text[rnd.IntN(1+rnd.IntN(len(text)))] += strings.Repeat(" and more", 1+rnd.IntN(3*decode.ChunkSize/9))
			}
			lines = append(lines, text...)
		}
		want[std] = joined(all, lines)
		for n, line := range lines {
			ts := int64(1e18) + int64(n)*1000 + int64(std)
			for len(line) >= decode.ChunkSize {
				pieces[std] = append(pieces[std], decode.Entry{Std: std, TS: ts, Text: []byte(line[:decode.ChunkSize])})
				line = line[decode.ChunkSize:]
			}
			pieces[std] = append(pieces[std], decode.Entry{Std: std, TS: ts, Text: []byte(line), Newline: true})
		}
		n := 0
		for _, text := range want[std] {
			wantTimes[std] = append(wantTimes[std], fmt.Sprint(int64(1e18)+int64(n)*1000+int64(std)))
			n += strings.Count(text, "\n") + 1
		}
	}
	var log []decode.Entry
	index := map[position.Mark]int{}
	for len(pieces[decode.Stdout])+len(pieces[decode.Stderr]) > 0 {
		std := decode.Stdout + rnd.IntN(2)
		if n := min(len(pieces[std]), 1+rnd.IntN(5)); n > 0 {
			for _, e := range pieces[std][:n] {
				index[position.MarkOf(&e)] = len(log)
				log = append(log, e)
			}
			pieces[std] = pieces[std][n:]
		}
	}

	s := tracingStream(t, all)
	var have, haveTimes [3][]string
	take := func(batches int) (more bool) {
		rs, more := takeSome(t, s, batches)
		for _, r := range rs {
			std := map[string]int{"stdout": decode.Stdout, "stderr": decode.Stderr}[r.Fields["stream"]]
			have[std] = append(have[std], r.Fields["log"])
			haveTimes[std] = append(haveTimes[std], fmt.Sprint(int64(r.Sec)*1e9+int64(r.Nanos)))
		}
		return more
	}
	restarts, within, was := 0, 0, map[int]bool{}
	for at := 0; at < len(log); {
		s.accept(&log[at])
		at++
		if rnd.IntN(10) == 0 {
			take(2)
		}
		rare := false // a long line began a trace
		for _, l := range s.traces {
			rare = rare || l.lines == 1 && l.records > 1 && !was[at]
		}
		was[at] = was[at] || rare
		if !rare && (restarts > 1000 || rnd.IntN(10) != 0) {
			continue
		}
		restarts++
		if take(rnd.IntN(4)) { // the rest is gone with the process
			drop(s)
		}
		p := s.Committed
		if !s.Waits() {
			p = s.Snapshot()
		}
		kept := checkpoint.PositionOf(&p)
		p, err := kept.Restore()
		must(t, err)
		s = tracingStream(t, all) // another process
		s.goOn(p)
		s.Committed = p
		from := 0
		if p.Anchor.N > 0 {
			from = index[p.Anchor.Newest()] + 1
		}
		if from < at {
			within++
		}
		at = from
	}
	s.endTraces()
	take(1 << 10)
	for _, std := range []int{decode.Stdout, decode.Stderr} {
		checkSequence(t, fmt.Sprint("std ", std), want[std], have[std])
		checkSequence(t, fmt.Sprint("times of std ", std), wantTimes[std], haveTimes[std])
	}
	if within < 50 {
		t.Errorf("only %d of %d restarts were within something incomplete", within, restarts)
	}
}

// drop is the end of a process: what was not taken is gone.
func drop(s *stream) {
	for b := s.col.out.Next(); b != nil; b = s.col.out.Next() {
		s.col.out.Appended()
	}
}

// Each bound of a trace ends it; what follows comes as lines, and nothing is lost.
func TestBoundsOfATrace(t *testing.T) {
	const frame = "\tat a.B.c(B.java:1)"
	feed := func(s *stream, at int64, lines ...string) {
		must(t, s.deliver(t.Context(), nil, func() error {
			for i, line := range lines {
				s.accept(&decode.Entry{Std: decode.Stdout, TS: at + int64(i), Text: []byte(line), Newline: true})
			}
			return nil
		}))
	}
	texts := func(s *stream) (texts []string) {
		s.endTraces()
		for _, r := range takeAll(t, s) {
			if r.Fields["partial"] != "" {
				t.Errorf("%.40q is flagged", r.Fields["log"])
			}
			texts = append(texts, r.Fields["log"])
		}
		return texts
	}
	const at = int64(1e18)
	head := "x.YException: z"

	s := tracingStream(t, javaTraces)
	feed(s, at, append([]string{head}, strings.Split(strings.Repeat(frame+"\n", maxTraceLines)+"end", "\n")...)...)
	checkSequence(t, "lines", []string{head + strings.Repeat("\n"+frame, maxTraceLines-1), frame, "end"}, texts(s))

	s = tracingStream(t, javaTraces)
	s.maxLine = 1024
	feed(s, at, append([]string{head}, strings.Split(strings.Repeat(frame+"\n", 60)+"end", "\n")...)...)
	have := texts(s)
	checkSequence(t, "bytes", append([]string{head}, strings.Split(strings.Repeat(frame+"\n", 60)+"end", "\n")...), linesOf(have))
	if n := len(have[0]); n > 1024 || n+1+len(frame) <= 1024 {
		t.Errorf("%d bytes were joined", n)
	}

	s = tracingStream(t, javaTraces)
	feed(s, at, head, frame)
	feed(s, at+1+int64(tracePause), frame)
	feed(s, at+2+2*int64(tracePause), frame)
	checkSequence(t, "time", []string{head + "\n" + frame + "\n" + frame, frame}, texts(s))

	s = tracingStream(t, javaTraces)
	for i := range int64(40) {
		feed(s, at+i*int64(tracePause), []string{head, frame}[min(i, 1)])
	}
	have = texts(s)
	if n := strings.Count(have[0], "\n"); len(have) != 1+39-n || n != int(maxTrace/tracePause) {
		t.Errorf("%d frames were joined, %d records", n, len(have))
	}

	// A place where records are missing, and a line that is cut, belong to none.
	s = tracingStream(t, javaTraces)
	feed(s, at, head)
	must(t, s.deliver(t.Context(), nil, func() error { s.broke(); return nil }))
	feed(s, at+5, frame)
	checkSequence(t, "gap", []string{head, frame}, texts(s))

	// The first record of a log is remembered where no record is before it.
	s = tracingStream(t, javaTraces)
	feed(s, at, head)
	first := position.MarkOf(&decode.Entry{Std: decode.Stdout, TS: at, Text: []byte(head), Newline: true})
	if p := s.Snapshot(); p.Kind != position.FromBeginning || p.Next != first {
		t.Errorf("a restart begins at %+v", p)
	}

	// A std stream that is not wanted holds nothing back.
	s = tracingStream(t, javaTraces)
	s.wanted[decode.Stdout] = false
	feed(s, at, head)
	if s.based {
		t.Error("a std stream that is not wanted holds the position")
	}
}

// The end of a run, a line of the other std stream, time, and a removal end a
// trace; each reader joins.
func testTraces(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Multiline": "java,go"})
	a := r.agent(t, e, opts)
	a.connected()
	c := r.run(t, e, dockertest.Container{Name: "web"})
	python := r.run(t, e, dockertest.Container{Name: "python", Labels: map[string]string{multilineLabel: "Python"}})
	none := r.run(t, e, dockertest.Container{Name: "none", Labels: map[string]string{multilineLabel: "off"}})
	odd := r.run(t, e, dockertest.Container{Name: "odd", Labels: map[string]string{multilineLabel: "cobol", excludeLabel: "perhaps"}})
	// A trace that nothing comes behind is there all the same, after a moment.
	for _, c := range []*dockertest.Ctr{c, python, none, odd} {
		c.Stdout(linesOf(traceTexts["java"])...)
		c.Stderr(linesOf(traceTexts["python"])...)
		c.Stderr("panic: last")
	}
	for _, want := range []struct {
		c              *dockertest.Ctr
		stdout, stderr []string
	}{
		{c, traceTexts["java"], append(linesOf(traceTexts["python"]), "panic: last")},
		{odd, traceTexts["java"], append(linesOf(traceTexts["python"]), "panic: last")},
		{python, linesOf(traceTexts["java"]), append(append([]string(nil), traceTexts["python"]...), "panic: last")},
		{none, linesOf(traceTexts["java"]), append(linesOf(traceTexts["python"]), "panic: last")},
	} {
		a.waitTexts(want.c.ID, "stdout", len(want.stdout))
		a.waitTexts(want.c.ID, "stderr", len(want.stderr)-3)
		if want.c == c { // python's messages are java's beginnings: each is held until the next line
			want.stderr = joined(javaTraces|goTraces, want.stderr)
		}
		if want.c == odd {
			want.stderr = joined(javaTraces|goTraces, want.stderr)
		}
		a.waitTexts(want.c.ID, "stderr", len(want.stderr))
		checkSequence(t, want.c.Name()+" stdout", want.stdout, a.texts(want.c.ID, "stdout"))
		checkSequence(t, want.c.Name()+" stderr", want.stderr, a.texts(want.c.ID, "stderr"))
	}
	a.waitLog(oddLabel)
	if n := strings.Count(a.log.String(), oddLabel); n != 2 {
		t.Errorf("said %d times", n)
	}
	if n := valueOf(a.col.metrics.joined); n == 0 {
		t.Error("no line was counted as joined")
	}
}

// A trace that is open while the agent is stopped, or killed, and its log is
// rotated, comes whole and once.
func testTracesOverRestarts(t *testing.T, r readerCase) {
	e := dockertest.Start(t)
	opts := dbOptions(t, map[string]string{"Multiline": "java", "Rotate_Interval": "1s"})
	c := r.create(t, e, dockertest.Container{Name: "web", MaxSize: 100 << 20, MaxFile: 9})
	var want, wantErr, have, haveErr []string
	frame := strings.Repeat(" ", 4) + "at a.B.c(B.java:1)"
	const rounds = 8
	for i := range rounds {
		a := r.agent(t, e, opts)
		a.connected()
		if i == 0 {
			c.Start()
		}
		head := fmt.Sprint("round ", i, " x.YException: z")
		c.Stdout(fmt.Sprint("line ", i), head, frame)
		c.Stderr(fmt.Sprint("err ", i))
		if i%2 == 0 {
			a.waitTexts(c.ID, "stderr", 1) // and so the trace was read as far as it goes, and is open
		}
		if i%4 < 2 {
			a.loseFromNow()
		}
		long := frame + strings.Repeat("x", i%3*decode.ChunkSize)
		c.Stdout(long)
		if r.file && i%3 == 1 {
			must(t, c.RotateLog())
		}
		a.stop()
		have = append(have, a.texts(c.ID, "stdout")...)
		haveErr = append(haveErr, a.texts(c.ID, "stderr")...)
		c.Stdout(frame)
		want = append(want, fmt.Sprint("line ", i), strings.Join([]string{head, frame, long, frame}, "\n"))
		wantErr = append(wantErr, fmt.Sprint("err ", i))
	}
	a := r.agent(t, e, opts)
	c.Stdout("end")
	a.waitTexts(c.ID, "stdout", len(want)+1-len(have))
	a.waitTexts(c.ID, "stderr", len(wantErr)-len(haveErr))
	checkSequence(t, "stdout", append(want, "end"), append(have, a.texts(c.ID, "stdout")...))
	checkSequence(t, "stderr", wantErr, append(haveErr, a.texts(c.ID, "stderr")...))
}

// While it cannot be known that nothing follows, a trace waits: its log is
// blocked, or was not polled again.
func TestTraceWaitsForItsLog(t *testing.T) {
	s := benchStream(t)
	s.joinsTraces(javaTraces)
	s.col.streams.byID[s.id] = &streamTask{stream: s, cancel: func() {}}
	s.open.timer.Stop()
	now := time.Now()
	open := func() {
		s.col.out.Lock()
		defer s.col.out.Unlock()
		s.accept(&decode.Entry{Std: decode.Stdout, TS: 1e18, Text: []byte("x.YException: z"), Newline: true})
		s.traces[decode.Stdout].read, s.traces[decode.Stdout].began = now.Add(-tracePause), now.Add(-tracePause)
		s.open.timer.Stop()
	}
	for _, test := range []struct {
		what    string
		set     func()
		emitted bool
	}{
		{"it is read", func() { s.is(streamReading); s.inSync(); s.doingSince = now.Add(-time.Hour) }, true},
		{"it was just opened", func() { s.doingSince = now }, false},
		{"it does not run", func() { s.doingSince = now.Add(-time.Hour); s.col.streams.byID[s.id].cancel = nil }, false},
		{"it runs", func() { s.col.streams.byID[s.id].cancel = func() {} }, true},
		{"it fails", func() { s.is(streamRetrying); s.doingSince = now.Add(-time.Hour) }, false},
		{"it fails for long", func() { s.traces[decode.Stdout].began = now.Add(-maxTrace) }, true},
		{"it is polled", func() {
			s.is(streamReading)
			s.notes.note(readerPoll)
			s.asks(now.Add(-time.Second))
			s.asks(time.Time{})
			s.polledAt(now)
		}, false},
		{"it is being polled", func() { s.asks(now) }, false},
		{"it was polled again", func() { s.asks(time.Time{}); s.polledAt(now) }, true},
		{"the machine was busy", func() { s.open.armed = now.Add(-tracePause) }, false},
		{"it is not any more", func() { s.traces[decode.Stdout].read, s.open.armed = now.Add(-tracePause), now }, true},
		{"nothing is taken", func() { s.col.out.Limit = 0 }, false},
		{"another stream has its place", func() { s.col.out.Limit = 1 << 20; delete(s.col.streams.byID, s.id) }, false},
	} {
		if !s.isTracing(decode.Stdout) {
			open()
		}
		test.set()
		s.col.lines.endIdle()
		s.open.timer.Stop()
		if have := takeAll(t, s); len(have) > 0 != test.emitted {
			t.Errorf("%s: emitted: %v", test.what, have)
		}
	}
	if s.based || s.watched {
		t.Error("the position is held")
	}
}
