package lines

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fluent-bit-docker-logs/capture/container"
)

// Which lines make a stack trace, by language. What begins and what continues
// one is as in Fluent Bit's built-in multiline parsers java, python, go and ruby
// and a little more, where those cut what a program printed in one go.

// Languages is a set of them, one bit each.
type Languages uint8

const (
	javaTraces Languages = 1 << iota // also Node.js and .NET
	pythonTraces
	goTraces
	rubyTraces
)

// languageNames are in the order of their bits.
var languageNames = []string{"java", "python", "go", "ruby"}

// LanguagesOf reads names that are separated by commas, or off.
func LanguagesOf(text string) (all Languages, err error) {
	if strings.EqualFold(text, "off") {
		return 0, nil
	}
	names := container.SplitList(text)
	for _, name := range names {
		i := slices.Index(languageNames, strings.ToLower(name))
		if i < 0 {
			return 0, fmt.Errorf("%s is no language that is known", name)
		}
		all |= 1 << i
	}
	if len(names) == 0 {
		return 0, errors.New("it names no language")
	}
	return all, nil
}

// traceState is what the last line of a stack trace was; noTrace is outside of
// any.
type traceState uint8

const (
	noTrace traceState = iota
	javaMessage
	javaNested // the message is on the next line
	javaFrame
	pythonFrame
	pythonMessage
	pythonBetween // two exceptions of which one led to the other
	goMessage
	goBetween // goroutines
	goCall
	goPlace // of a call is on the next line
	rubyFrame
)

// begins says which trace a line begins, noTrace if none.
func (l Languages) begins(line []byte) traceState {
	line = bytes.TrimSuffix(line, cr)
	switch {
	case l&pythonTraces != 0 && bytes.HasSuffix(line, pythonHeader):
		return pythonFrame
	case l&goTraces != 0 && (hasWord(line, "panic: ") || bytes.HasPrefix(line, []byte("fatal error: "))):
		return goMessage
	case l&goTraces != 0 && bytes.Contains(line, []byte("http: panic serving")):
		return goBetween
	case l&rubyTraces != 0 && isRubyPlace(line):
		return rubyFrame
	case l&javaTraces != 0 && isJavaMessage(line):
		return javaMessage
	}
	return noTrace
}

// next is the state behind another line, noTrace if it does not continue the
// trace.
func (s traceState) next(line []byte) traceState {
	line = bytes.TrimSuffix(line, cr)
	switch s {
	case javaMessage, javaNested, javaFrame:
		return s.nextJava(line)
	case pythonFrame, pythonMessage, pythonBetween:
		return s.nextPython(line)
	case goMessage, goBetween, goCall, goPlace:
		return s.nextGo(line)
	case rubyFrame:
		if isBlank(line) && bytes.HasPrefix(unindent(line), []byte("from ")) && isRubyPlace(line) {
			return rubyFrame
		}
	}
	return noTrace
}

var (
	cr           = []byte("\r")
	pythonHeader = []byte("Traceback (most recent call last):")
)

func (s traceState) nextJava(line []byte) traceState {
	text := unindent(line)
	indented := len(text) < len(line)
	starts := func(prefix string) bool { return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix }
	switch {
	case s == javaNested:
		if isJavaMessage(line) {
			return javaMessage
		}
	case s == javaMessage && len(line) == 0:
		return javaMessage
	case s == javaMessage && starts("nested exception is:"):
		if len(unindent(text[len("nested exception is:"):])) > 0 {
			return javaMessage
		}
		return javaNested
	case indented && (starts("at ") || starts("eval at ") || starts("--- End of inner exception stack trace ---")),
		starts("--- End of stack trace from previous location"):
		return javaFrame
	case starts("Caused by:"), starts("Suppressed:"), indented && starts("---> "):
		return javaMessage
	case starts("... "):
		_, rest := cutDigits(text[len("... "):])
		if bytes.HasPrefix(rest, []byte(" more")) || bytes.HasPrefix(rest, []byte(" common frames omitted")) {
			return javaFrame
		}
	}
	return noTrace
}

// isJavaMessage says whether a line names an exception and what it says of it.
func isJavaMessage(line []byte) bool {
	for _, word := range [...]string{"Exception", "Error", "Throwable", "V8 errors stack trace"} {
		for rest := line; ; {
			i := bytes.Index(rest, []byte(word))
			if i < 0 {
				break
			}
			if rest = rest[i+len(word):]; len(rest) == 0 || rest[0] == ':' || rest[0] == '\r' {
				return true
			}
		}
	}
	return false
}

func (s traceState) nextPython(line []byte) traceState {
	switch {
	case s == pythonFrame && isBlank(line):
		return pythonFrame
	case s == pythonFrame && isPythonMessage(line):
		return pythonMessage
	case s != pythonFrame && (len(line) == 0 || bytes.HasPrefix(line, []byte("During handling of the above exception")) ||
		bytes.HasPrefix(line, []byte("The above exception was the direct cause"))):
		return pythonBetween
	case s == pythonBetween && bytes.Equal(line, pythonHeader):
		return pythonFrame
	}
	return noTrace
}

// isPythonMessage says whether a line is the name of an exception, with dots, by
// itself or before a colon.
func isPythonMessage(line []byte) bool {
	for i, c := range line {
		switch c {
		case ':':
			return i > 0
		case ' ', '\t', '(', ')':
			return false
		}
	}
	return len(line) > 0
}

func (s traceState) nextGo(line []byte) traceState {
	starts := func(prefix string) bool { return len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix }
	switch {
	case len(line) == 0 && s != goPlace:
		return goBetween
	case s == goPlace:
		if isBlank(line) {
			return goCall
		}
	case s == goMessage && isBlank(line), s != goCall && starts("[signal "):
		return goMessage
	case s != goCall && (isGoroutine(line) || starts("runtime stack:")):
		return goCall
	case s == goCall && (starts("created by ") || isGoCall(line)):
		return goPlace
	case s == goCall && starts("...") && bytes.Contains(line, []byte("frames elided")):
		return goCall
	case s != goMessage && starts("exit status "):
		return goBetween
	}
	return noTrace
}

// isGoroutine says whether a line is like "goroutine 1 [running]:".
func isGoroutine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("goroutine "))
	digits, rest := cutDigits(rest)
	return ok && len(digits) > 0 && bytes.HasPrefix(rest, []byte(" ")) && bytes.HasSuffix(rest, []byte("]:"))
}

// isGoCall says whether a line is like "main.(*T).run(0x1, ...)".
func isGoCall(line []byte) bool {
	for i, c := range line {
		switch c {
		case ' ', '\t', ':':
			return false
		case '(':
			if i > 0 && line[i-1] != '.' {
				return true
			}
		}
	}
	return false
}

// isRubyPlace says whether a line has a place in a program, as "a.rb:7:in ".
func isRubyPlace(line []byte) bool {
	for at := 0; ; {
		i := bytes.Index(line[at:], []byte(":in "))
		if i < 0 {
			return false
		}
		i += at
		d := i
		for d > 0 && line[d-1] >= '0' && line[d-1] <= '9' {
			d--
		}
		if d < i && d > 1 && line[d-1] == ':' {
			return true
		}
		at = i + 1
	}
}

// hasWord says whether a line has the text, not within a longer word.
func hasWord(line []byte, text string) bool {
	for at := 0; ; at++ {
		i := bytes.Index(line[at:], []byte(text))
		if i < 0 {
			return false
		}
		if at += i; at == 0 || !isWord(line[at-1]) {
			return true
		}
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isBlank says whether a line begins with a blank or tab.
func isBlank(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// unindent is the line without blanks and tabs before it.
func unindent(line []byte) []byte { return bytes.TrimLeft(line, " \t") }

func cutDigits(text []byte) (digits, rest []byte) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[:n], text[n:]
}
