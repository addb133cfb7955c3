package outbox

// Buffers for incomplete lines are shared by all streams and few are kept: long
// lines come one after the other.
const (
	maxSpareLines = 8
	maxSpareLine  = 64 << 10
)

// LineBuffer returns an empty buffer for an incomplete line. The outbox is locked.
func (o *Outbox) LineBuffer() []byte {
	k := len(o.lines)
	if k == 0 {
		return nil
	}
	b := o.lines[k-1]
	o.lines = o.lines[:k-1]
	return b[:0]
}

// FreeLine takes back a buffer of a line that is complete. The outbox is locked.
func (o *Outbox) FreeLine(b []byte) {
	if len(o.lines) < maxSpareLines && cap(b) > 0 && cap(b) <= maxSpareLine {
		o.lines = append(o.lines, b)
	}
}

// SpareLines is how many bytes the buffers have that wait for incomplete lines.
func (o *Outbox) SpareLines() (bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.lines {
		bytes += cap(b)
	}
	return bytes
}
