package decode

import (
	"bytes"
	"strconv"
)

// jsonScanner reads JSON tokens off b.
type jsonScanner struct{ b []byte }

func (p *jsonScanner) space() {
	for len(p.b) > 0 && (p.b[0] == ' ' || p.b[0] == '\t' || p.b[0] == '\r') {
		p.b = p.b[1:]
	}
}

func (p *jsonScanner) token(c byte) bool {
	p.space()
	if len(p.b) == 0 || p.b[0] != c {
		return false
	}
	p.b = p.b[1:]
	return true
}

// past reads exactly what is expected.
func (p *jsonScanner) past(expected string) bool {
	if len(p.b) < len(expected) || string(p.b[:len(expected)]) != expected {
		return false
	}
	p.b = p.b[len(expected):]
	return true
}

// str reads a string and returns what stands between its quotes.
func (p *jsonScanner) str() ([]byte, bool) {
	if !p.token('"') {
		return nil, false
	}
	for from := 0; ; {
		i := bytes.IndexByte(p.b[from:], '"')
		if i < 0 {
			return nil, false
		}
		end := from + i
		plain := end
		for plain > from && p.b[plain-1] == '\\' {
			plain--
		}
		if (end-plain)%2 != 0 { // it is escaped
			from = end + 1
			continue
		}
		s := p.b[:end]
		p.b = p.b[end+1:]
		return s, true
	}
}

// objectSize is how long the JSON object is that b begins with, 0 if with none.
func objectSize(b []byte) int {
	p := jsonScanner{b}
	if len(b) == 0 || b[0] != '{' || !p.skip(0) {
		return 0
	}
	return len(b) - len(p.b)
}

// maxDepth bounds how deep attrs may be nested; the Engine's are flat.
const maxDepth = 32

// skip reads any value.
func (p *jsonScanner) skip(depth int) bool {
	p.space()
	if len(p.b) == 0 || depth > maxDepth {
		return false
	}
	switch p.b[0] {
	case '"':
		_, ok := p.str()
		return ok
	case '{', '[':
		object := p.b[0] == '{'
		end := p.b[0] + 2
		p.b = p.b[1:]
		for first := true; !p.token(end); first = false {
			if !first && !p.token(',') {
				return false
			}
			if object {
				if _, ok := p.str(); !ok || !p.token(':') {
					return false
				}
			}
			if !p.skip(depth + 1) {
				return false
			}
		}
		return true
	}
	n := 0
	for n < len(p.b) && bytes.IndexByte([]byte(",}] \t\r"), p.b[n]) < 0 {
		n++
	}
	word := p.b[:n]
	p.b = p.b[n:]
	switch string(word) {
	case "true", "false", "null":
		return true
	}
	_, err := strconv.ParseFloat(string(word), 64)
	return err == nil
}
