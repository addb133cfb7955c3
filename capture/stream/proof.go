package stream

// proof is what is known of whether a log was open once.
//
// The Engine answers a request for a log before it opens it. Where the container is
// removed in between, the answer ends without a byte, as that of an empty log does:
// then it is told by whether the Engine has the container still.
type proof struct {
	open  bool // it was
	empty bool // a read came to its end, of nothing
}

func (p *proof) opened() { p.open = true }

// cameToEnd says that a read of the log went to its end, and with that that the Engine
// had the container still when the one before ended.
func (p *proof) cameToEnd() { p.open, p.empty = p.open || p.empty, !p.open && !p.empty }

// exists says that the Engine has the container still.
func (p *proof) exists() { p.open, p.empty = p.open || p.empty, false }
