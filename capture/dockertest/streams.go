package dockertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// Streams is what can be watched in, and done to, the log streams of one container or of all containers of the Engine.
type Streams struct {
	e *Engine
	c *Ctr // nil: all

	// Guarded by e.mu: the number of open log requests, and what is to happen to those to come.
	open        int
	cutAfter    int64
	cutTimes    int
	silentTimes int
	bytesPerSec int
	firstByte   time.Duration
	before      func(LogQuery)
}

func (s *Streams) stores() []*logStore {
	if s.c != nil {
		return []*logStore{s.c.log}
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	all := make([]*logStore, len(s.e.order))
	for i, c := range s.e.order {
		all[i] = c.log
	}
	return all
}

// each runs do on every open log request, under the lock of its log.
func (s *Streams) each(do func(*logStore, *follower)) {
	for _, l := range s.stores() {
		l.mu.Lock()
		for f := range l.followers {
			do(l, f)
		}
		l.mu.Unlock()
	}
}

// Followers is the number of open log requests.
func (s *Streams) Followers() int {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	return s.open
}

// WaitFollowers waits until the number of open log requests is n.
func (s *Streams) WaitFollowers(ctx context.Context, n int) error {
	return s.e.wait(ctx, func() error {
		if got := s.Followers(); got != n {
			return fmt.Errorf("%d log requests are open, not %d", got, n)
		}
		return nil
	})
}

// WaitSent waits until every open log request has been sent all that is stored. Those that are silent or ended do not count.
func (s *Streams) WaitSent(ctx context.Context) error {
	return s.e.wait(ctx, func() (err error) {
		s.each(func(l *logStore, f *follower) {
			if !f.silent && (f.busy || len(f.inserts) > 0 || f.pos < min(l.end(), f.end)) {
				err = fmt.Errorf("a log request of %s is at record %d of %d", l.spec.Name, f.pos, l.end())
			}
		})
		return err
	})
}

// CutFollowers breaks every open log request: unexpected EOF, or a reset over TCP.
func (s *Streams) CutFollowers() {
	s.each(func(_ *logStore, f *follower) { cut(f.conn) })
}

// EndFollowers ends every open log request with a clean EOF behind what is stored, although the container runs.
func (s *Streams) EndFollowers() {
	for _, l := range s.stores() {
		l.mu.Lock()
		l.endFollowers()
		l.mu.Unlock()
	}
}

// Silence makes every open log request, and the next n new ones, go silent for good: connected, but nothing is sent any more.
func (s *Streams) Silence(n int) {
	s.e.mu.Lock()
	s.silentTimes = n
	s.e.mu.Unlock()
	s.each(func(_ *logStore, f *follower) { f.silent = true })
	s.e.wake()
}

// CutAfter breaks each of the next times log requests after n bytes of its body, wherever in a frame that is. times 0 ends it.
func (s *Streams) CutAfter(n int64, times int) {
	s.e.mu.Lock()
	s.cutAfter, s.cutTimes = n, times
	s.e.mu.Unlock()
}

// Throttle limits what each log request is sent. 0 is no limit. It works on open requests too; a container's limit goes before the Engine's.
func (s *Streams) Throttle(bytesPerSec int) {
	s.e.mu.Lock()
	s.bytesPerSec = bytesPerSec
	s.e.mu.Unlock()
}

// FirstByte makes each log request wait before the first byte of its body, as 20.10 does that unpacks all rotated files for it.
func (s *Streams) FirstByte(d time.Duration) {
	s.e.mu.Lock()
	s.firstByte = d
	s.e.mu.Unlock()
}

// SkipFollowers makes every log request that follows leave out the next n records to be stored, as Engines from 23 on do that are outrun by
// a log rotation.
func (s *Streams) SkipFollowers(n int) {
	s.each(func(l *logStore, f *follower) {
		if f.follows() {
			f.pos = l.end() + uint64(n)
		}
	})
}

// Inject sends raw bytes into every open log request, between two frames: garbage, [HugeHeader], the start of an [AppendFrame].
func (s *Streams) Inject(raw []byte) {
	for _, l := range s.stores() {
		l.mu.Lock()
		l.insertInto(func(*follower) []byte { return raw })
		l.mu.Unlock()
	}
}

// SystemErr sends what the Engine sends when it fails to read a log: "Error grabbing logs: text" as a systemerr frame, or as it is on a TTY. The stream stays open.
func (s *Streams) SystemErr(text string) {
	line := []byte("Error grabbing logs: " + text + "\n")
	for _, l := range s.stores() {
		l.mu.Lock()
		l.insertInto(func(f *follower) []byte {
			if !f.enc.frames {
				return line
			}
			return AppendFrame(nil, Systemerr, line)
		})
		l.mu.Unlock()
	}
}

// ReplayFollowers sends the last n stored records once more into every log request that follows, as Engine 20.10 does at a log rotation.
func (s *Streams) ReplayFollowers(n int) {
	s.each(func(l *logStore, f *follower) {
		if f.follows() {
			f.insert(insert{pos: l.end(), recs: slices.Clone(l.recs[len(l.recs)-min(n, len(l.recs)):])})
		}
	})
}

// LogQueries returns the log requests that were made, oldest first. Of very many only the last are kept.
func (s *Streams) LogQueries() (qs []LogQuery) {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for _, q := range s.e.queries {
		if s.c == nil || q.Container == s.c.ID {
			qs = append(qs, q)
		}
	}
	return qs
}

// BeforeLog has do called by each log request before it gets its place in the log: what the log is to hold by then that it did not at the
// request before. nil ends it.
func (s *Streams) BeforeLog(do func(LogQuery)) {
	s.e.mu.Lock()
	s.before = do
	s.e.mu.Unlock()
}

// announce calls what was ordered by BeforeLog.
func (c *Ctr) announce(q LogQuery) {
	c.e.mu.Lock()
	both := [...]func(LogQuery){c.Streams.before, c.e.Streams.before}
	c.e.mu.Unlock()
	for _, do := range both {
		if do != nil {
			do(q)
		}
	}
}

// prepare applies to a new log request what was ordered.
func (c *Ctr) prepare(f *follower) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	f.cutAfter = -1
	for _, s := range []*Streams{c.Streams, c.e.Streams} {
		if s.cutTimes > 0 && f.cutAfter < 0 {
			s.cutTimes--
			f.cutAfter = s.cutAfter
		}
		if s.silentTimes > 0 && !f.silent {
			s.silentTimes--
			f.silent = true
		}
		f.wait = max(f.wait, s.firstByte)
	}
}

// enter counts a log request that has its place in the log: what is written from now on is sent to it.
func (c *Ctr) enter() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.open++
	c.e.open++
	c.e.wakeLocked()
}

func (c *Ctr) rate() int {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.bytesPerSec > 0 {
		return c.bytesPerSec
	}
	return c.e.bytesPerSec
}

// body writes a response body through the faults.
type body struct {
	ctx  context.Context //nolint:containedctx // of the one request that this writer lives for
	w    http.ResponseWriter
	left int64 // bytes until the cut, < 0 = no cut
	rate func() int
}

func (b *body) Flush() error { return http.NewResponseController(b.w).Flush() }

func (b *body) Write(p []byte) (n int, err error) {
	cutHere := b.left >= 0 && int64(len(p)) >= b.left
	if cutHere {
		p = p[:b.left]
	}
	for len(p) > 0 {
		step := len(p)
		rate := b.rate()
		if rate > 0 {
			step = min(step, max(1, rate/50))
		}
		w, err := b.w.Write(p[:step])
		n += w
		if err != nil {
			return n, err
		}
		p = p[step:]
		if rate > 0 {
			if err := b.Flush(); err != nil {
				return n, err
			}
			if !sleep(b.ctx, time.Duration(step)*time.Second/time.Duration(rate)) {
				return n, b.ctx.Err()
			}
		}
	}
	if cutHere {
		_ = b.Flush()
		panic(http.ErrAbortHandler)
	}
	if b.left >= 0 {
		b.left -= int64(n)
	}
	return n, nil
}

// sleep reports whether ctx lived on.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// cut closes a connection at once; over TCP with a reset.
func cut(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
