package wire

import (
	"time"
	"unicode/utf8"
)

// AppendJSON renders a record for a json-file.
func AppendJSON(dst []byte, r Record) []byte {
	dst = appendString(append(dst, `{"log":`...), r.Data)
	dst = append(append(append(dst, `,"stream":"`...), r.Std.String()...), `","time":"`...)
	if r.Stamp == "" {
		dst = time.Unix(0, r.TS).UTC().AppendFormat(dst, time.RFC3339Nano)
	}
	dst = append(dst, r.Stamp...)
	return append(dst, "\"}\n"...)
}

// appendString escapes what dockerd escapes and nothing else (daemon/logger/jsonfilelog/jsonlog).
func appendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c == '<' || c == '>' || c == '&':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRune(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&15])
			default:
				dst = append(dst, s[i:i+size]...)
			}
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// AppendValid appends b with U+FFFD for bytes that are not UTF-8.
func AppendValid(dst, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, b[:size]...)
		}
		b = b[size:]
	}
	return dst
}
