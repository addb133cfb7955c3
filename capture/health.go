package capture

import "fmt"

// Health is how the capture is at a moment.
type Health struct {
	Engine  bool // it answers
	Streams int  // that run
	Stalled int  // tasks without a heartbeat for Task_Timeout
	Leaked  int  // tasks that did not return after they were cancelled
	FDs     FDs  // as last counted
}

// Health tells how the capture is.
func (c *Collector) Health() Health {
	h := Health{Streams: c.runningCount()}
	h.Engine, _ = c.conn.get()
	h.Stalled, h.Leaked = c.sup.state()
	if n := c.guard.last.Load(); n != nil {
		h.FDs = *n
	}
	return h
}

// Problems says, a sentence each, why the capture is degraded; none if it is
// not.
func (h *Health) Problems() (all []string) {
	if !h.Engine {
		all = append(all, "the Engine does not answer")
	}
	if h.Stalled > 0 {
		all = append(all, fmt.Sprintf("%d tasks are stalled", h.Stalled))
	}
	if h.Leaked > 0 {
		all = append(all, fmt.Sprintf("%d tasks did not return and were left behind", h.Leaked))
	}
	if h.FDs.Process > h.FDs.Warn {
		all = append(all, fmt.Sprintf("%d file descriptors are open (FD_Warn %d)", h.FDs.Process, h.FDs.Warn))
	}
	return all
}
