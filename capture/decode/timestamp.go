package decode

import (
	"bytes"
	"strings"
	"time"
)

// Undated is the timestamp of a record whose own cannot be read, or is none
// that a record of Fluent Bit can have.
const Undated = -1

// TimeSize is the length of the timestamp that the Engine puts before each
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

// parseTime reads a timestamp of timeSize bytes as nanoseconds since 1970.
// Years 1970 to 2105, whose seconds fit Fluent Bit's EventTime, are valid.
func parseTime(b []byte) (int64, bool) {
	_ = b[TimeSize-1]
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[29] != 'Z' {
		return 0, false
	}
	year, bad := digits(b[0:4])
	month, bad1 := digits(b[5:7])
	day, bad2 := digits(b[8:10])
	hour, bad3 := digits(b[11:13])
	minute, bad4 := digits(b[14:16])
	second, bad5 := digits(b[17:19])
	nanos, bad6 := digits(b[20:29])
	if bad || bad1 || bad2 || bad3 || bad4 || bad5 || bad6 ||
		year < 1970 || year > 2105 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	secs := (daysSince1970(year, month, day)*24+hour)*3600 + minute*60 + second
	return secs*1e9 + nanos, true
}

func digits(b []byte) (n int64, bad bool) {
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, true
		}
		n = n*10 + int64(d)
	}
	return n, false
}

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
