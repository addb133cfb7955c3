package capture

// timeSize is the length of the timestamp that the Engine puts before each
// record (jsonmessage.RFC3339NanoFixed, always UTC):
// 2006-01-02T15:04:05.000000000Z
const timeSize = 30

// cutTime splits "timestamp SP text". It is written by hand because
// time.Parse takes ten times as long; a fuzz test holds it to time.Parse.
func cutTime(b []byte) (ts int64, text []byte, ok bool) {
	if len(b) < timeSize+1 || b[timeSize] != ' ' {
		return 0, nil, false
	}
	ts, ok = parseTime(b[:timeSize])
	return ts, b[timeSize+1:], ok
}

// parseTime reads a timestamp of timeSize bytes as nanoseconds since 1970.
// Years 1970 to 2105, whose seconds fit Fluent Bit's EventTime, are valid.
func parseTime(b []byte) (int64, bool) {
	_ = b[timeSize-1]
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
