package decode

import "bytes"

// Podman's driver k8s-file stores each piece of a line as a line of the form that
// Kubernetes uses (conmon: src/ctr_logging.c):
//
//	2006-01-02T15:04:05.000000000+00:00 stdout F text
//
// P in the place of F says that the line goes on in the next one of its std
// stream. A piece ends where a read from the container's pipe did: it has any
// length up to 8 KiB, and a time of its own.
const (
	stdoutWord = "stdout "
	stderrWord = "stderr "
)

// parseCRI reads one line of that form, without its newline, into c.Entry.
func (c *JSONCutter) parseCRI(line []byte) bool {
	i := bytes.IndexByte(line[:min(len(line), maxTimeSize+1)], ' ')
	if i < 0 {
		return false
	}
	ts, ok := parseZonedTime(line[:i])
	if !ok {
		return false
	}
	e, rest := Entry{TS: ts}, line[i+1:]
	switch {
	case bytes.HasPrefix(rest, []byte(stdoutWord)):
		e.Std, rest = Stdout, rest[len(stdoutWord):]
	case bytes.HasPrefix(rest, []byte(stderrWord)):
		e.Std, rest = Stderr, rest[len(stderrWord):]
	default:
		return false
	}
	tag, text, _ := bytes.Cut(rest, []byte(" "))
	switch {
	case len(tag) == 0:
		return false
	case tag[0] == 'F':
		e.Newline = true
	case tag[0] == 'P':
		e.Piece = true
	default:
		return false
	}
	e.Text = text
	c.Entry = e
	return true
}

// salvageCRI calls f for the record in a line that only has NULs before it. What
// is torn is damage: nothing tells where a text ends that another is glued to.
func (c *JSONCutter) salvageCRI(line []byte, inode uint64, end int64, f func(*Entry) error) error {
	if !c.Parse(line[:len(line)-1]) {
		c.Damaged++
		return nil
	}
	c.Records++
	c.Entry.Place = Place{Inode: inode, End: end, Size: uint32(len(line))}
	return f(&c.Entry)
}

// parseZonedTime reads a timestamp with nine digits and a zone by hand, any other
// form of RFC 3339 as parseAnyTime does.
func parseZonedTime(b []byte) (int64, bool) {
	const zoneAt = TimeSize - 1
	if len(b) != maxTimeSize || b[zoneAt] != '+' && b[zoneAt] != '-' || b[zoneAt+3] != ':' {
		return parseAnyTime(b)
	}
	var utc [TimeSize]byte
	copy(utc[:], b[:zoneAt])
	utc[zoneAt] = 'Z'
	ts, ok := parseTime(utc[:])
	hours, bad := digits(b[zoneAt+1 : zoneAt+3])
	minutes, bad2 := digits(b[zoneAt+4:])
	if !ok || bad || bad2 || hours > 23 || minutes > 59 {
		return parseAnyTime(b)
	}
	zone := (hours*60 + minutes) * 60e9
	if b[zoneAt] == '-' {
		zone = -zone
	}
	if ts -= zone; ts < 0 {
		return parseAnyTime(b)
	}
	return ts, true
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
