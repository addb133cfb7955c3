package outbox

// Batch is what Fluent Bit appends in one call. Its records are of one tag.
type Batch struct {
	Tag     string // empty: the instance's own
	Buf     []byte // msgpack records one after the other
	Records int

	whole   int      // bytes of Buf that are whole records
	seats   []*Seat  // that have records in it, each once
	commits []Commit // made when it is sealed
	end     uint64   // outbox.appended behind it, once it was appended
}

// smallBatch is up to where a batch grows by and by: there may be one for each of
// thousands of tags. One that comes to more will be full.
const smallBatch = 32 << 10

// grow makes room for size bytes more, once and for all where a batch fills.
func (b *Batch) grow(size, batchSize int) {
	want := len(b.Buf) + size
	if want > smallBatch {
		want = max(want, batchSize)
	} else {
		want = min(max(want, 2*cap(b.Buf), 1<<10), smallBatch)
	}
	b.Buf = append(make([]byte, 0, want), b.Buf...)
}
