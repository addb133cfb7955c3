package main

// byCounter is the exact ledger: Fluent Bit counts our appends, each as a
// whole, when it has a chunk for it and before the filters and the write. So
// its number of records is always that behind some append. The one counted
// last is in its chunk when the engine's thread has come to rest, or when a
// later one is counted.
type byCounter struct {
	base counters // what Fluent Bit had counted at from
	from mark
	// proven says that once all was counted: one append at a time until then,
	// since conditional routes that count twice look, in between, like two
	// appends.
	proven bool
	// rewritten says that a processor changes records: then the number of bytes
	// says nothing. Else it tells which appends were counted.
	rewritten bool
	all       bool // as of the last look all was counted: the ring is empty
}

// restart implements ledger.
func (c *byCounter) restart(now counters, at mark) { c.base, c.from = now, at }

// judge implements ledger.
func (c *byCounter) judge(s *sight, f *flight) (safe mark, v verdict) {
	if !s.known || s.records < c.base.records {
		return f.acked, verdict{foreign, "the counter of records cannot be read any more"}
	}
	n := c.from.records + s.records - c.base.records
	b := c.from.bytes + s.bytes - c.base.bytes
	c.all = n == f.last.records
	if n > f.last.records {
		return f.acked, verdict{foreign, "conditional routes, or a processor of this input that adds records"}
	}
	i := len(f.marks) - 1
	for i >= 0 && f.marks[i].records > n {
		i--
	}
	m := f.acked
	if i >= 0 {
		m = f.marks[i]
	}
	if m.records != n {
		if !c.rewritten && f.hasGap(n, b) {
			return f.acked, c.uncounted(s, f, n)
		}
		return f.acked, verdict{foreign, "a processor of this input drops records, or conditional routes"}
	}
	if n == f.last.records && i >= 0 {
		c.proven = true
		c.rewritten = c.rewritten || b != m.bytes
	}
	safe = f.acked
	switch {
	case !c.proven, !c.rewritten && b != m.bytes:
	case f.rests:
		safe = m
	case i > 0:
		safe = f.marks[i-1]
	}
	if f.left.records > n {
		return safe, c.uncounted(s, f, n)
	}
	return safe, verdict{}
}

// uncounted judges appends that left the ring and were not counted.
func (c *byCounter) uncounted(s *sight, f *flight, n uint64) verdict {
	switch {
	case s.hasWrites && s.writes-c.base.writes < f.last.appends-c.from.appends:
		return verdict{foreign, "a processor of this input drops records"}
	case !f.surely(s):
		return verdict{kind: doubtful}
	case !s.hasWrites && n > f.acked.records:
		return verdict{missing, "a processor of this input drops records, or Fluent Bit refused some"}
	}
	return verdict{kind: refused}
}
