package store

// damage is a place in a log that holds no record.
// There are NULs, or half of one. The record behind it is on the same line, and is lost with it.
type damage struct {
	at       uint64 // the record that is lost
	buffered uint64 // how many records behind it the decoder of 20.10 loses
}

// nextDecoder is how many records the decoder of 20.10 has buffered.
const nextDecoder = 27
