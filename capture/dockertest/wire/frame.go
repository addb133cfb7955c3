package wire

import (
	"encoding/binary"
	"math"
)

// Std is the type of a frame. It says which std stream its payload comes from.
type Std byte

// The frame types of a log stream. Systemerr carries the Engine's own errors.
const (
	Stdout    Std = 1
	Stderr    Std = 2
	Systemerr Std = 3
)

// String implements fmt.Stringer.
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
