package main

// ledger is a way to know what Fluent Bit holds.
type ledger interface {
	// judge returns up to where all appends are in chunks, at least f.acked.
	judge(s *sight, f *flight) (safe mark, v verdict)
	// restart begins anew at a moment when nothing is under way.
	restart(c counters, at mark)
}

// verdict is what a ledger makes of a look.
type verdict struct {
	kind verdictKind
	why  string // of foreign
}

type verdictKind int

const (
	agreed   verdictKind = iota
	doubtful             // an append left the ring uncounted; more is known when the ring is empty
	foreign              // the counter counts other records than ours
	missing              // as foreign, and some of what is under way may be gone
	refused              // nothing of what is under way was kept
	calm                 // the counter has agreed for long
)
