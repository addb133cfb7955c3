package store

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"

	"fluent-bit-docker-logs/capture/dockertest/wire"
)

// Followers are the log requests that are open, and what befalls them.
type Followers struct{ log *Log }

// Followers are those of the log.
func (l *Log) Followers() Followers { return Followers{l} }

// Join places a new one in the log.
// A tail counts stored records of both std streams, before since. On a container that does not run a follow is a plain read.
func (s Followers) Join(req Request) *Follower {
	l, f := s.log, newFollower(req)
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.content
	n, asked := len(c.recs), math.MaxInt
	if tail, err := strconv.Atoi(req.Tail); err == nil && tail >= 0 {
		n, asked = min(n, tail), tail
		if l.opts.Spoken.Podman != "" {
			f.inserts, n = []insert{{pos: c.end(), recs: c.lines(tail)}}, 0
		}
	}
	f.pos, f.there = c.end()-uint64(n), c.end()
	if asked > 0 && l.unpacks() {
		s.unpackFor(f, asked)
	}
	f.end = math.MaxUint64
	if !req.Follow || !l.running {
		f.end = c.end()
	}
	l.followers[f] = struct{}{}
	return f
}

// unpackFor shows a follower the unpacked files, not the rotated ones. tail is what it asked for.
func (s Followers) unpackFor(f *Follower, tail int) {
	shown, stale, used := s.log.unpack()
	f.used, f.usedTo = used, s.log.content.end()
	counts := s.log.file.Counts()
	current := counts[len(counts)-1]
	if rest := min(tail-current, len(shown)); stale && rest > 0 {
		f.pos = s.log.content.end() - uint64(current)
		f.inserts = append(f.inserts, insert{pos: f.pos, recs: shown[len(shown)-rest:]})
	}
}

// Leave ends a request: it is sent nothing more. left is called before who waits for its end is told.
func (s Followers) Leave(f *Follower, left func()) {
	s.log.mu.Lock()
	delete(s.log.followers, f)
	s.log.content.unpacked.letGo(f.used)
	s.log.mu.Unlock()
	left()
	close(f.done)
}

// Client is who a log is sent to.
type Client interface {
	io.Writer
	// Flush sends what was written and is held back.
	Flush() error
}

// Send writes the log until the follower's end.
// An error, or the end of the request, ends it before. It calls idle when all is sent for now.
func (s Followers) Send(ctx context.Context, f *Follower, out Client, idle func()) {
	var buf []byte
	for {
		s.log.mu.Lock()
		var over bool
		buf, over = f.fill(buf[:0], &s.log.content)
		f.busy = len(buf) > 0
		s.log.mu.Unlock()
		if len(buf) > 0 {
			if _, err := out.Write(buf); err != nil {
				return
			}
		}
		switch {
		case over:
			return
		case len(buf) >= batchSize:
			continue
		case len(buf) > 0:
			if out.Flush() != nil {
				return
			}
			s.log.mu.Lock()
			f.busy = false
			s.log.mu.Unlock()
		}
		idle()
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
	}
}

// Unsent is an error while one has not been sent all. Those that are silent or ended do not count.
func (s Followers) Unsent() (err error) {
	s.each(func(f *Follower) {
		if end := s.log.content.end(); f.behind(end) {
			err = fmt.Errorf("a log request of %s is at record %d of %d", s.log.opts.Name, f.pos, end)
		}
	})
	return err
}

// Cut breaks their connections.
func (s Followers) Cut() { s.each(func(f *Follower) { f.req.Cut() }) }

// Silence has nothing sent to them any more.
func (s Followers) Silence() { s.each(func(f *Follower) { f.req.Silent = true }) }

// End ends them behind what is stored.
func (s Followers) End() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.endFollowers()
}

// Skip makes those that follow leave out the next n records.
func (s Followers) Skip(n int) {
	s.each(func(f *Follower) {
		if f.follows() {
			end := s.log.content.end()
			f.skips = append(f.skips, span{end, end + uint64(n)})
		}
	})
}

// Replay sends the last n records again to those that follow.
func (s Followers) Replay(n int) {
	s.each(func(f *Follower) {
		if f.follows() {
			f.insert(insert{pos: s.log.content.end(), recs: s.log.content.last(n)})
		}
	})
}

// Inject sends them raw bytes, between two frames.
func (s Followers) Inject(raw []byte) {
	s.each(func(f *Follower) { f.insert(insert{pos: s.log.content.end(), raw: raw}) })
}

// SystemErr sends them an error of the Engine's.
// It comes in a frame, or as it is on a TTY.
func (s Followers) SystemErr(line []byte) {
	s.each(func(f *Follower) {
		raw := line
		if f.req.Encoder.Frames {
			raw = wire.AppendFrame(nil, wire.Systemerr, line)
		}
		f.insert(insert{pos: s.log.content.end(), raw: raw})
	})
}

// each runs do on every one, under the lock of the log.
func (s Followers) each(do func(*Follower)) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for f := range s.log.followers {
		do(f)
	}
}
