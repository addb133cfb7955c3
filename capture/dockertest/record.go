package dockertest

// record is one stored record: a line with its newline, or a chunk of a longer one.
type record struct {
	ts   int64 // unix ns
	std  Std
	data []byte // points into an arena, never changes
	// stamp is sent and stored instead of ts when it is not empty.
	stamp string
	raw   bool // data is sent as it is, and stored nowhere else
	last  bool // the last chunk of a longer line
}
