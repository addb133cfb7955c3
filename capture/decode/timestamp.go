package decode

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// Undated is the timestamp of a record without one. That is also one that
// cannot be read, or that no record of Fluent Bit can have.
const Undated = -1

// TimeSize is the length of the Engine's timestamps. It puts one before each
// record (jsonmessage.RFC3339NanoFixed, always UTC):
// 2006-01-02T15:04:05.000000000Z
const TimeSize = 30

// maxTimeSize is that of the longest form of RFC 3339 that is read, with a zone.
const maxTimeSize = len("2006-01-02T15:04:05.000000000+00:00")

// CutTime splits "timestamp SP text". What does not begin with a timestamp is
// text as a whole, and undated. The Engine's usual form is read by hand because
// time.Parse takes ten times as long; a fuzz test holds it to time.Parse.
func CutTime(b []byte) (ts int64, text []byte, ok bool) {
	if len(b) > TimeSize && b[TimeSize] == ' ' {
		if ts, ok = parseTime(b[:TimeSize]); ok {
			return ts, b[TimeSize+1:], true
		}
	}
	return cutAnyTime(b)
}

// cutAnyTime is CutTime for any form of RFC 3339: Podman stamps whole seconds,
// or with a zone, and the Engine keeps the zone that another program wrote into
// a log file.
func cutAnyTime(b []byte) (ts int64, text []byte, ok bool) {
	if n := bytes.IndexByte(b[:min(len(b), maxTimeSize+1)], ' '); n >= 0 {
		if ts, ok = parseAnyTime(b[:n]); ok {
			return ts, b[n+1:], true
		}
	}
	return Undated, b, false
}

// parseAnyTime reads a timestamp in any form of RFC 3339. ok says that it is
// one; outside of the years 1970 to 2105 it is undated.
func parseAnyTime(b []byte) (ts int64, ok bool) {
	if ts, ok = parseShortTime(b); ok {
		return ts, true
	}
	if len(b) > maxTimeSize {
		return Undated, false
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(string(b)))
	switch {
	case err != nil:
		return Undated, false
	case t.Unix() < 0 || t.UTC().Year() > 2105:
		return Undated, true
	}
	return t.UnixNano(), true
}

// minTimeSize is the length of a timestamp without a fraction.
const minTimeSize = len("2006-01-02T15:04:05Z")

// parseShortTime reads a timestamp as the Engine stores it in a file: RFC 3339
// in UTC with as many digits of the fraction as are not zeros at its end.
func parseShortTime(b []byte) (int64, bool) {
	if len(b) == TimeSize {
		return parseTime(b)
	}
	if len(b) < minTimeSize || len(b) > TimeSize || b[len(b)-1] != 'Z' || len(b) == minTimeSize+1 {
		return 0, false
	}
	full := [TimeSize]byte([]byte("0000-00-00T00:00:00.000000000Z"))
	copy(full[:], b[:len(b)-1])
	return parseTime(full[:])
}

// parseTime reads a timestamp of TimeSize bytes as nanoseconds since 1970.
// Years 1970 to 2105, whose seconds fit Fluent Bit's EventTime, are valid.
func parseTime(b []byte) (int64, bool) {
	_ = b[TimeSize-1]
	date, bad1 := word(b[0:], 0x2d30302d30303030, 0x7f76767f76767676)  // 0000-00-
	clock, bad2 := word(b[8:], 0x30303a3030543030, 0x76767f76767f7676) // 00T00:00
	from, bad3 := word(b[16:], 0x303030302e30303a, 0x767676767f76767f) // :00.0000
	to, bad4 := word(b[22:], 0x5a30303030303030, 0x7f76767676767676)   // 0000000Z
	year, month, day := pair(date, 0)*100+pair(date, 2), pair(date, 5), pair(clock, 0)
	hour, minute, second := pair(clock, 3), pair(clock, 6), pair(from, 1)
	if bad1|bad2|bad3|bad4 != 0 ||
		year < 1970 || year > 2105 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	secs := (daysSince1970(year, month, day)*24+hour)*3600 + minute*60 + second
	nanos := pair(from, 4)*1e7 + pair(to, 0)*1e5 + pair(to, 2)*1e3 + pair(to, 4)*10 + pair(to, 6)/10
	return secs*1e9 + nanos, true
}

// word reads eight bytes, each a digit or a separator, at once: byte i of the result is
// the number of the digits i and i+1. form has a 0 for each digit, and the separators;
// strict is what makes a byte too large that is not as form says, and bad has its top
// bit then: 0x76 for a digit, 0x7f for a separator.
func word(b []byte, form, strict uint64) (pairs, bad uint64) {
	v := binary.LittleEndian.Uint64(b) - form
	return v*10 + v>>8, (v + strict | v) & 0x8080808080808080
}

// pair is byte i of a word: two digits.
func pair(word uint64, i int) int64 { return int64(word >> (8 * i) & 0xff) }

func monthDays(year, month int64) int64 {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days with the year taken to begin in March, so that
// the leap day is the last one.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}
