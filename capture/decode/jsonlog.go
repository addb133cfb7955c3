package decode

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// The json-file driver stores each record as a line (moby:
// daemon/logger/jsonfilelog/jsonlog), the fields in this order:
//
//	{"log":"...\n","stream":"stdout","attrs":{...},"time":"2006-01-02T15:04:05.999999999Z"}
//
// attrs is there only when log options ask for it. A quote inside a string is
// escaped, so recordStart never occurs inside of the text, but attrs may begin
// like a record.
const (
	recordStart = `{"log":"`
	stdoutField = `","stream":"stdout","time":"`
	stderrField = `","stream":"stderr","time":"`
	recordEnd   = `"}`
)

// Place is where a record was read in a log file. Without an inode it is none.
type Place struct {
	Inode uint64 `json:"inode"`
	End   int64  `json:"end"`  // offset behind the record and its newline
	Size  uint32 `json:"size"` // of the record with its newline
}

// JSONCutter cuts the records of a json-file, or of a k8s-file, out of its bytes,
// which it leaves as they are.
type JSONCutter struct {
	CRI     bool   // its lines have another form: see parseCRI
	Entry   Entry  // the one at hand
	Scratch []byte // its text, if escapes were replaced; lent by the caller
	Damaged int    // places that held no record
	Records int
}

// Each calls f for every whole record in b, whose first byte is at offset off
// of the file with that inode (0: places in it are of no use later). It returns
// how many bytes it is through with: up to the last newline, or to the record
// that f refused.
func (c *JSONCutter) Each(b []byte, inode uint64, off int64, f func(*Entry) error) (n int, err error) {
	for {
		size := bytes.IndexByte(b[n:], '\n') + 1
		if size == 0 {
			return n, nil
		}
		line := b[n : n+size]
		if !c.Parse(line[:size-1]) {
			if err := c.salvage(line, inode, off+int64(n), f); err != nil {
				return n, err
			}
		} else {
			c.Records++
			c.Entry.Place = Place{Inode: inode, End: off + int64(n+size), Size: uint32(size)}
			if err := f(&c.Entry); err != nil {
				return n, err
			}
		}
		n += size
	}
}

// salvage calls f for the whole records in a line that is none: what a crash
// or a full disk left torn has the next record glued to it, and the hole that
// a truncation left has NULs before it. Everything else is counted as damage.
func (c *JSONCutter) salvage(line []byte, inode uint64, off int64, f func(*Entry) error) error {
	end := off + int64(len(line))
	rest := bytes.TrimLeft(line, "\x00")
	if len(rest) <= 1 {
		return nil
	}
	if c.CRI {
		return c.salvageCRI(rest, inode, end, f)
	}
	all, whole := len(rest), true
	for len(rest) > 1 {
		// A record may hold a start itself, in its attrs: how far it goes is up
		// to its braces, and not to the next start.
		size := objectSize(rest)
		// What has no time may be the attrs of a record that is torn.
		if size == 0 || !c.Parse(rest[:size]) || (c.Entry.TS == Undated && size < all-1) {
			if whole { // known before the records behind it are handed on
				whole = false
				c.Damaged++
			}
			i := bytes.Index(rest[1:], []byte(recordStart))
			if i < 0 {
				break
			}
			rest = rest[1+i:]
			continue
		}
		if size == len(rest)-1 {
			size++ // the newline
		}
		rest = rest[size:]
		c.Records++
		c.Entry.Place = Place{Inode: inode, End: end - int64(len(rest)), Size: uint32(size)}
		if err := f(&c.Entry); err != nil {
			return err
		}
	}
	return nil
}

// Parse reads one line, without its newline, into c.e. The text is valid until
// the next parse or change of line.
func (c *JSONCutter) Parse(line []byte) bool {
	c.Entry = Entry{}
	if c.CRI {
		return c.parseCRI(line)
	}
	return c.parseInOrder(line) || c.parseAny(line)
}

// parseInOrder parses a record with the usual fields from both of its ends.
func (c *JSONCutter) parseInOrder(line []byte) bool {
	end := len(line) - len(recordEnd)
	if end < len(recordStart)+len(stdoutField)+TimeSize ||
		string(line[end:]) != recordEnd || string(line[:len(recordStart)]) != recordStart {
		return false
	}
	from := end - TimeSize
	for line[from-1] != '"' {
		if from++; from > end-minTimeSize {
			return false
		}
	}
	text := line[len(recordStart) : from-len(stdoutField)]
	switch string(line[from-len(stdoutField) : from]) {
	case stdoutField:
		c.Entry.Std = Stdout
	case stderrField:
		c.Entry.Std = Stderr
	default:
		return false
	}
	var ok bool
	if c.Entry.TS, ok = parseShortTime(line[from:end]); !ok {
		return false
	}
	return c.setText(text)
}

// setText takes over the content of the string of the field log.
func (c *JSONCutter) setText(raw []byte) bool {
	i := bytes.IndexByte(raw, '\\')
	if i < 0 || (i == len(raw)-2 && raw[i+1] == 'n') {
		if bytes.IndexByte(raw, '"') >= 0 {
			return false
		}
		c.Entry.Text, c.Entry.Newline = raw, false
		if i >= 0 {
			c.Entry.Text, c.Entry.Newline = raw[:i], true
		}
		return true
	}
	text, ok := unescape(c.Scratch[:0], raw)
	c.Scratch = text
	if !ok {
		return false
	}
	if k := len(text) - 1; k >= 0 && text[k] == '\n' {
		text, c.Entry.Newline = text[:k], true
	}
	c.Entry.Text = text
	return true
}

// unescape appends a JSON string's content to dst, without its escapes. It
// refuses a quote that is not escaped.
func unescape(dst, s []byte) ([]byte, bool) {
	for {
		i := plainPrefix(s)
		dst = append(dst, s[:i]...)
		if s = s[i:]; len(s) == 0 {
			return dst, true
		}
		if len(s) == 1 || s[0] == '"' {
			return dst, false
		}
		n := 2
		switch c := s[1]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'u':
			r, size := unescapeRune(s)
			if size == 0 {
				return dst, false
			}
			dst, n = utf8.AppendRune(dst, r), size
		default:
			return dst, false
		}
		s = s[n:]
	}
}

// plainPrefix is how many bytes stand before the first backslash or quote.
// Escapes often stand close together, as in a log of JSON objects: looking at
// the first bytes one by one is faster then than bytes.IndexByte.
func plainPrefix(s []byte) int {
	const near = 16
	for i, c := range s[:min(len(s), near)] {
		if c == '\\' || c == '"' {
			return i
		}
	}
	if len(s) <= near {
		return len(s)
	}
	if i := bytes.IndexByte(s[near:], '\\'); i >= 0 {
		s = s[:near+i]
	}
	if i := bytes.IndexByte(s[near:], '"'); i >= 0 {
		s = s[:near+i]
	}
	return len(s)
}

// unescapeRune reads \uXXXX, or two of them that are a surrogate pair. Half a
// pair is U+FFFD, as in encoding/json.
func unescapeRune(s []byte) (r rune, size int) {
	r, ok := hex4(s)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if low, ok := hex4(s[6:]); ok {
		if r := utf16.DecodeRune(r, low); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(s []byte) (r rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	for _, c := range s[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// parseAny parses a record whose fields stand in any order or are more, or
// whose time is missing or none of the usual form.
func (c *JSONCutter) parseAny(line []byte) bool {
	p := jsonScanner{line}
	var log, stream, ts []byte
	if !p.token('{') {
		return false
	}
	for first := true; !p.token('}'); first = false {
		if !first && !p.token(',') {
			return false
		}
		key, ok := p.str()
		if !ok || !p.token(':') || bytes.IndexByte(key, '\\') >= 0 {
			return false
		}
		var dst *[]byte
		switch string(key) {
		case "log":
			dst = &log
		case "stream":
			dst = &stream
		case "time":
			dst = &ts
		default:
			if !p.skip(0) {
				return false
			}
			continue
		}
		if *dst, ok = p.str(); !ok {
			return false
		}
	}
	if p.space(); len(p.b) > 0 {
		return false
	}
	switch string(stream) {
	case "stdout":
		c.Entry.Std = Stdout
	case "stderr":
		c.Entry.Std = Stderr
	default:
		return false
	}
	// The Engine's own reader sends a record without a time, too.
	c.Entry.TS, _ = parseAnyTime(ts)
	return c.setText(log)
}
