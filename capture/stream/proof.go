package stream

import "fluent-bit-docker-logs/capture/container"

// proof is what is known of whether a log was open once.
//
// The Engine answers a request for a log before it opens it. Where the container is
// removed in between, the answer ends without a byte, as that of an empty log does:
// then it is told by whether the Engine has the container still.
type proof struct {
	open  bool  // it was
	empty bool  // a read came to its end, of nothing
	died  int64 // when a run ended, as the last event of an end told, by the Engine's clock
}

// hear takes note of a start or an end of the container, as it is known. A run that
// begins behind the last that is known of has yet to show that its log was open, but
// for a file that is read on: it holds both runs.
func (p *proof) hear(start bool, at int64, c *container.Container, byFile bool) {
	switch {
	case !start:
		p.died = at
	case !c.Running && c.FinishedAt != 0 && at > c.FinishedAt,
		!byFile && c.Running && c.StartedAt != 0 && p.died > c.StartedAt && at >= p.died:
		p.open, p.empty = false, false
	}
}

func (p *proof) opened() { p.open = true }

// cameToEnd says that a read of the log went to its end, and with that that the Engine
// had the container still when the one before ended.
func (p *proof) cameToEnd() { p.open, p.empty = p.open || p.empty, !p.open && !p.empty }

// exists says that the Engine has the container still.
func (p *proof) exists() { p.open, p.empty = p.open || p.empty, false }
