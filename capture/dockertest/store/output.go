package store

import (
	"time"

	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// Output is what a container writes, and what becomes of it.
type Output struct{ log *Log }

// Output is that of the container that the log is of.
func (l *Log) Output() Output { return Output{l} }

// Stdout writes lines to the std stream.
// Each gets a line end ("\r\n" on a TTY). It reports whether the container ran.
func (o Output) Stdout(lines ...string) bool { return o.lines(wire.Stdout, lines) }

// Stderr is Stdout for the other std stream. A TTY has only the one.
func (o Output) Stderr(lines ...string) bool { return o.lines(wire.Stderr, lines) }

func (o Output) lines(std wire.Std, lines []string) bool {
	end := "\n"
	if o.log.opts.TTY {
		end = "\r\n"
	}
	return o.log.with(func() {
		for _, s := range lines {
			o.log.copier.write(std, append(append(make([]byte, 0, len(s)+2), s...), end...), nil)
		}
	})
}

// Write writes bytes as the container's process would.
// They are stored at each newline and at 16,384 bytes without one; what follows the last
// newline is stored when the line is finished or the container stops. It reports whether the container ran: if not, nothing is stored.
func (o Output) Write(std wire.Std, b []byte) bool {
	return o.log.with(func() { o.log.copier.write(std, b, nil) })
}

// WriteAt is Write at a given time instead of the clock's.
func (o Output) WriteAt(ts time.Time, std wire.Std, b []byte) bool {
	return o.log.with(func() { o.log.copier.write(std, b, &ts) })
}

// Stamped stores lines with a timestamp as it is given.
// The file has it and log requests get it: as another program wrote it, or an Engine that is
// not Docker's.
func (o Output) Stamped(stamp string, std wire.Std, lines ...string) bool {
	return o.log.with(func() {
		o.log.copier.stamp = stamp
		for _, s := range lines {
			o.log.copier.write(std, []byte(s+"\n"), nil)
		}
		o.log.copier.stamp = ""
	})
}

// Raw stores bytes that log requests are sent as they are.
// They stand in the place of a record: what a proxy, a damaged store or a foreign driver makes of
// one. The file does not get them.
func (o Output) Raw(b []byte) bool {
	return o.log.with(func() {
		o.log.add(wire.Record{TS: o.log.opts.Clock().UnixNano(), Std: wire.Stdout, Data: b, Raw: true})
	})
}

// Flood stores n lines cheaply. line appends the i-th line without line end to dst and returns it.
func (o Output) Flood(std wire.Std, n int, line func(dst []byte, i int) []byte) bool {
	var buf []byte
	for i := 0; i < n; {
		if !o.log.with(func() {
			for stop := min(i+1024, n); i < stop; i++ {
				buf = line(buf[:0], i)
				if o.log.opts.TTY {
					buf = append(buf, '\r')
				}
				buf = append(buf, '\n')
				o.log.copier.write(std, buf, nil)
			}
		}) {
			return false
		}
	}
	return true
}

// Records is the number of records stored, forgotten ones included.
func (o Output) Records() int {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	return int(o.log.content.end())
}

// Forget drops the n oldest records, as a log rotation does. Streams that have not sent them yet skip them silently.
func (o Output) Forget(n int) {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	o.log.content.forget(n)
}

// Forgotten is how many records are not kept any more.
// They were rotated away, see also [Output.Forget].
func (o Output) Forgotten() int {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	return int(o.log.content.base)
}

// RotateAway is [Output.Forget] without a loss for requests that are open.
// They are sent still what they were not sent yet, as from a file that was unlinked
// while it was read.
func (o Output) RotateAway(n int) {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	c := &o.log.content
	n = min(n, len(c.recs))
	for f := range o.log.followers {
		f.keep(c, n, c.end())
	}
	c.forget(n)
}

// Damage makes the next record stored unreadable.
// The log behind it is read as the Engine's version does: 20.10 goes on behind what
// its decoder had buffered, 23 to 26 send an error and end, later ones end the file: a follow goes on with what is written since it was
// asked for, be it that record. A tail that begins behind it is whole. Nobody is to follow the log at that moment.
func (o Output) Damage() {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	c := &o.log.content
	c.damages = append(c.damages, damage{at: c.end(), buffered: nextDecoder})
}
