package wire

// Record is one stored record.
// It is a line with its newline, or a chunk of a longer one.
type Record struct {
	TS   int64 // unix ns
	Std  Std
	Data []byte // points into an arena, never changes
	// Stamp is sent and stored instead of TS when it is not empty.
	Stamp string
	Raw   bool // Data is sent as it is, and stored nowhere else
	Last  bool // the last chunk of a longer line
}
