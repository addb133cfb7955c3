package wire

import "time"

const (
	timeLayout = "2006-01-02T15:04:05.000000000Z" // of the API, not of the json-file
	timeLen    = len(timeLayout)
)

// Encoder renders records as one client asked for them.
type Encoder struct {
	Frames     bool // not on a TTY
	Timestamps bool
	Layout     string // of timestamps, for an Engine that is not Docker's; "" is Docker's
	DropEnd    bool   // the local driver of 20.10 loses the newline of a line that it has in chunks

	second int64 // that prefix holds
	prefix []byte
}

// Append appends a record.
func (x *Encoder) Append(dst []byte, r Record) []byte {
	data := r.Data
	if r.Raw {
		return append(dst, data...)
	}
	if x.Layout != "" && r.Stamp == "" {
		r.Stamp = time.Unix(0, r.TS).UTC().Format(x.Layout)
	}
	if x.DropEnd && r.Last {
		data = data[:len(data)-1]
	}
	if x.Frames {
		n := len(data)
		if x.Timestamps {
			n += len(r.Stamp) + 1
			if r.Stamp == "" {
				n += timeLen
			}
		}
		dst = appendHeader(dst, r.Std, uint32(n))
	}
	if x.Timestamps {
		if r.Stamp == "" {
			dst = x.appendTime(dst, r.TS)
		}
		dst = append(append(dst, r.Stamp...), ' ')
	}
	return append(dst, data...)
}

// appendTime formats the second once for all records in it.
func (x *Encoder) appendTime(dst []byte, ns int64) []byte {
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	if x.prefix == nil || sec != x.second {
		x.second = sec
		x.prefix = time.Unix(sec, 0).UTC().AppendFormat(x.prefix[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, x.prefix...)
	for unit := int64(1e8); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit%10))
	}
	return append(dst, 'Z')
}
