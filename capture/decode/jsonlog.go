package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
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
	stdoutAttrs = `","stream":"stdout","attrs":`
	stderrAttrs = `","stream":"stderr","attrs":`
	timeField   = `,"time":"`
	recordEnd   = `"}`
)

// Place is where a record was read in a log file. Without an inode it is none.
type Place struct {
	Inode uint64 `json:"inode"`
	End   int64  `json:"end"`  // offset behind the record and its newline
	Size  uint32 `json:"size"` // of the record with its newline
}

// JSONCutter cuts records out of the bytes of a log file. That is a json-file or
// a k8s-file; the bytes stay as they are.
type JSONCutter struct {
	CRI     bool   // its lines have another form: see parseCRI
	Entry   Entry  // the one at hand
	Scratch []byte // its text, if escapes were replaced; lent by the caller
	Damaged int    // places that held no record
	Records int
	attrs   []byte // of the last record that had others than the one before
}

// maxAttrs bounds what is kept of attrs, in bytes.
const maxAttrs = 4 << 10

// Each calls f for every whole record in b. The first byte is at offset off of
// the file with that inode (0: places in it are of no use later). It returns
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
	return c.parseInOrder(line) || c.parseWithAttrs(line) || c.parseAny(line)
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
	fields := line[len(recordStart):from]
	text, ok := c.cutStream(fields, stdoutField, stdoutAttrs)
	if c.Entry.Std = Stdout; !ok {
		if text, ok = c.cutStream(fields, stderrField, stderrAttrs); !ok {
			return false
		}
		c.Entry.Std = Stderr
	}
	if c.Entry.TS, ok = parseShortTime(line[from:end]); !ok {
		return false
	}
	return c.setText(text)
}

// cutStream takes off the fields between text and time: only the std stream, or
// also the attrs of the record before, which are those of all of a container's.
func (c *JSONCutter) cutStream(b []byte, field, attrsField string) (text []byte, ok bool) {
	if text, ok = bytes.CutSuffix(b, []byte(field)); ok || len(c.attrs) == 0 {
		return text, ok
	}
	if b, ok = bytes.CutSuffix(b, []byte(timeField)); !ok {
		return nil, false
	}
	if b, ok = bytes.CutSuffix(b, c.attrs); !ok {
		return nil, false
	}
	return bytes.CutSuffix(b, []byte(attrsField))
}

// parseWithAttrs parses a record with the usual fields and attrs.
func (c *JSONCutter) parseWithAttrs(line []byte) bool {
	if !bytes.HasPrefix(line, []byte(recordStart)) {
		return false
	}
	p := jsonScanner{line[len(recordStart)-1:]}
	text, ok := p.str()
	if !ok {
		return false
	}
	switch {
	case p.past(stdoutAttrs[1:]):
		c.Entry.Std = Stdout
	case p.past(stderrAttrs[1:]):
		c.Entry.Std = Stderr
	default:
		return false
	}
	attrs := p.b
	if !p.skip(0) {
		return false
	}
	attrs = attrs[:len(attrs)-len(p.b)]
	if !p.past(timeField) {
		return false
	}
	end := len(p.b) - len(recordEnd)
	if end < 0 || string(p.b[end:]) != recordEnd {
		return false
	}
	if c.Entry.TS, ok = parseShortTime(p.b[:end]); !ok || !c.setText(text) {
		return false
	}
	if len(attrs) <= maxAttrs {
		c.attrs = append(c.attrs[:0], attrs...)
	}
	return true
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

// escaped is what stands for a byte behind a backslash; 0: nothing does.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f'}

// block is how many bytes are looked at together.
const block = 8

// unescape appends a JSON string's content to dst, without its escapes. It
// refuses a quote that is not escaped.
func unescape(dst, s []byte) ([]byte, bool) {
	n := len(dst)
	dst = slices.Grow(dst, len(s)+block) // no escape is shorter than what it stands for
	out, d := dst[n:cap(dst)], 0
	for len(s) > 0 {
		switch {
		case len(s) >= block:
			// Escapes often stand close together, as in a log of JSON objects: what
			// is copied beyond one is overwritten.
			x := binary.LittleEndian.Uint64(s)
			binary.LittleEndian.PutUint64(out[d:], x)
			k := plainPrefix(x)
			s, d = s[k:], d+k
			if k == block {
				continue
			}
		case s[0] != '\\' && s[0] != '"':
			out[d] = s[0]
			s, d = s[1:], d+1
			continue
		}
		if len(s) == 1 || s[0] == '"' {
			return dst[:n+d], false
		}
		if c := escaped[s[1]]; c != 0 {
			out[d] = c
			s, d = s[2:], d+1
			continue
		}
		r, size := unescapeRune(s)
		if size == 0 {
			return dst[:n+d], false
		}
		d = len(utf8.AppendRune(out[:d], r))
		s = s[size:]
	}
	return dst[:n+d], true
}

// plainPrefix is how many of eight bytes, the first of them in the lowest ones of x,
// stand before the first backslash or quote.
func plainPrefix(x uint64) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	backslash, quote := x^ones*'\\', x^ones*'"' // a byte that is one becomes 0
	found := (backslash-ones)&^backslash&highs | (quote-ones)&^quote&highs
	return bits.TrailingZeros64(found) / 8
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
