package dockertest

import (
	"encoding/binary"
	"math"
	"time"
)

// Std is the type of a frame: which std stream its payload comes from.
type Std byte

// The frame types of a log stream. Systemerr carries the Engine's own errors.
const (
	Stdout    Std = 1
	Stderr    Std = 2
	Systemerr Std = 3
)

func (s Std) String() string {
	return [...]string{"stdin", "stdout", "stderr", "systemerr"}[s&3]
}

// AppendFrame appends a frame: the 8-byte header and the payload.
func AppendFrame(dst []byte, std Std, payload []byte) []byte {
	return append(appendHeader(dst, std, uint32(len(payload))), payload...)
}

// HugeHeader is a frame header that promises 4 GB.
func HugeHeader() []byte { return appendHeader(nil, Stdout, math.MaxUint32) }

func appendHeader(dst []byte, std Std, n uint32) []byte {
	dst = append(dst, byte(std), 0, 0, 0)
	return binary.BigEndian.AppendUint32(dst, n)
}

const (
	timeLayout = "2006-01-02T15:04:05.000000000Z" // of the API, not of the json-file
	timeLen    = len(timeLayout)
)

// encoder renders records as one client asked for them.
type encoder struct {
	frames     bool // not on a TTY
	timestamps bool
	podman     string
	dropEnd    bool // the local driver of 20.10 loses the newline of a line that it has in chunks

	second int64 // that prefix holds
	prefix []byte
}

func (x *encoder) append(dst []byte, r record) []byte {
	data := r.data
	if r.raw {
		return append(dst, data...)
	}
	if x.podman != "" && r.stamp == "" {
		r.stamp = podmanStamp(x.podman, r.ts)
	}
	if x.dropEnd && r.last {
		data = data[:len(data)-1]
	}
	if x.frames {
		n := len(data)
		if x.timestamps {
			n += len(r.stamp) + 1
			if r.stamp == "" {
				n += timeLen
			}
		}
		dst = appendHeader(dst, r.std, uint32(n))
	}
	if x.timestamps {
		if r.stamp == "" {
			dst = x.appendTime(dst, r.ts)
		}
		dst = append(append(dst, r.stamp...), ' ')
	}
	return append(dst, data...)
}

// appendTime formats the second once for all records in it.
func (x *encoder) appendTime(dst []byte, ns int64) []byte {
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
