package dockertest

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// LogQuery is a request for the log of a container, as the client sent it.
type LogQuery struct {
	Container  string // id
	Follow     bool
	Timestamps bool
	Stdout     bool
	Stderr     bool
	Tail       string // as sent: "", "all" or a number
	Since      string // as sent: seconds with up to nine decimals
	Until      string
	At         time.Time // by the Engine's clock
}

// follower is one open request for a log.
type follower struct {
	enc      encoder
	want     [4]bool // by Std
	gate     bool    // since lets everything pass behind the first record that it lets pass
	conn     net.Conn
	wake     chan struct{}
	done     chan struct{} // closed when the request has ended
	since    int64         // changed by its own goroutine only
	until    int64
	cutAfter int64 // bytes, < 0 = never
	wait     time.Duration
	api      version

	// Guarded by the store's mu.
	pos, end uint64 // next record to send; where the stream ends (maxuint64 = open)
	silent   bool
	busy     bool // something filled is not flushed yet
	inserts  []insert
	used     []*unpackedFile // until it was sent what is before record usedTo
	usedTo   uint64
}

// insert is something else to send, in front of record pos.
type insert struct {
	pos  uint64
	raw  []byte
	recs []record
}

func (f *follower) poke() { poke(f.wake) }

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

func (e *Engine) serveLogs(w http.ResponseWriter, r *http.Request, c *Ctr) {
	q := LogQuery{
		Container: c.ID, Follow: boolValue(r, "follow"), Timestamps: boolValue(r, "timestamps"), Stdout: boolValue(r, "stdout"), Stderr: boolValue(r, "stderr"),
		Tail: r.FormValue("tail"), Since: r.FormValue("since"), Until: r.FormValue("until"), At: e.now(),
	}
	since, err := parseTime(q.Since)
	until, err2 := parseTime(q.Until)
	switch {
	case !q.Stdout && !q.Stderr:
		fail(w, http.StatusBadRequest, "Bad parameters: you must choose at least one stream")
		return
	case err != nil || err2 != nil:
		fail(w, http.StatusBadRequest, fmt.Sprintf("invalid since or until: %q, %q", q.Since, q.Until))
		return
	case e.podman == "" && c.spec.Driver == "none" || c.spec.Unreadable:
		fail(w, http.StatusNotImplemented, "configured logging driver does not support reading")
		return
	}
	if text := podmanRefusal(c.spec.Driver, c.Name(), q.Follow); text != "" && e.podman != "" {
		e.logQuery(q)
		fail(w, http.StatusInternalServerError, text)
		return
	}
	api, _ := e.versions()
	f := &follower{
		enc:   encoder{frames: !c.spec.TTY, timestamps: q.Timestamps, dropEnd: c.spec.Driver == "local" && api < api142, podman: e.podman},
		want:  [4]bool{Stdout: q.Stdout, Stderr: q.Stderr},
		gate:  api >= api143,
		since: math.MinInt64, until: math.MaxInt64,
		api:  api,
		conn: connOf(r), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if !since.IsZero() {
		f.since = since.UnixNano()
		if e.podman != "" {
			f.since++
		}
	}
	if !until.IsZero() && q.Until != "0" {
		f.until = until.UnixNano()
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.docker.raw-stream")
	if f.enc.frames && api >= api142 {
		h.Set("Content-Type", "application/vnd.docker.multiplexed-stream")
	}
	e.logQuery(q)
	c.announce(q)
	c.prepare(f)
	c.log.join(e, f, q)
	c.enter()
	defer c.leave(f)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := &body{ctx: r.Context(), w: w, left: f.cutAfter, rate: c.rate}
	if out.Flush() == nil && sleep(r.Context(), f.wait) {
		c.log.send(r.Context(), f, out, e.wake)
	}
}

// join places the follower: tail counts stored records of both std streams, before since. On a container that does not run a follow is a plain read.
func (l *logStore) join(e *Engine, f *follower, q LogQuery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, asked := len(l.recs), math.MaxInt
	if tail, err := strconv.Atoi(q.Tail); err == nil && tail >= 0 {
		n, asked = min(n, tail), tail
		if l.podman {
			f.inserts, n = []insert{{pos: l.end(), recs: l.podmanTail(tail)}}, 0
		}
	}
	f.pos = l.end() - uint64(n)
	if asked > 0 && l.unpacks(e) {
		l.unpackFor(f, asked)
	}
	f.end = math.MaxUint64
	if !q.Follow || !l.running {
		f.end = l.end()
	}
	if l.followers == nil {
		l.followers = map[*follower]struct{}{}
	}
	l.followers[f] = struct{}{}
}

// unpackFor shows a follower the unpacked files in the place of the rotated ones; tail is what it asked for.
func (l *logStore) unpackFor(f *follower, tail int) {
	shown, stale, used := l.unpacked.take(l.rotated())
	f.used, f.usedTo = used, l.end()
	current := l.file.counts[len(l.file.counts)-1]
	if rest := min(tail-current, len(shown)); stale && rest > 0 {
		f.pos = l.end() - uint64(current)
		f.inserts = append(f.inserts, insert{pos: f.pos, recs: shown[len(shown)-rest:]})
	}
}

func (c *Ctr) leave(f *follower) {
	c.log.mu.Lock()
	delete(c.log.followers, f)
	c.log.unpacked.letGo(f.used)
	c.log.mu.Unlock()
	c.e.mu.Lock()
	c.open--
	c.e.open--
	c.e.wakeLocked()
	c.e.mu.Unlock()
	close(f.done) // not before it is counted as ended
}

// batchSize is how much a follower that is behind gets in one write.
const batchSize = 64 << 10

// send writes the log until the follower's end, an error, or the end of the request. It calls idle when all is sent for now.
func (l *logStore) send(ctx context.Context, f *follower, out *body, idle func()) {
	var buf []byte
	for {
		l.mu.Lock()
		var over bool
		buf, over = l.fill(buf[:0], f)
		f.busy = len(buf) > 0
		l.mu.Unlock()
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
			l.mu.Lock()
			f.busy = false
			l.mu.Unlock()
		}
		idle()
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
	}
}

// fill appends what the follower is to get next; over says that nothing will follow.
func (l *logStore) fill(buf []byte, f *follower) (_ []byte, over bool) {
	for !f.silent && len(buf) < batchSize {
		f.pos = max(f.pos, l.base)
		if f.used != nil && f.pos >= f.usedTo && len(f.inserts) == 0 {
			l.unpacked.letGo(f.used)
			f.used = nil
		}
		if len(f.inserts) > 0 && f.inserts[0].pos <= f.pos {
			in := f.inserts[0]
			f.inserts = f.inserts[1:]
			buf = append(buf, in.raw...)
			for _, r := range in.recs {
				if f.want[r.std] {
					buf = f.enc.append(buf, r)
				}
			}
			continue
		}
		if f.pos >= f.end {
			return buf, true
		}
		if d := l.damageAt(f.pos); d != nil {
			if buf, over = f.meet(buf, d, l.end()); over {
				return buf, true
			}
			continue
		}
		if f.pos >= l.end() {
			break
		}
		r := l.recs[f.pos-l.base]
		f.pos++
		if r.ts < f.since {
			continue
		}
		if f.gate {
			f.since = math.MinInt64
		}
		if r.ts > f.until {
			return buf, true
		}
		if f.want[r.std] {
			buf = f.enc.append(buf, r)
		}
	}
	return buf, false
}

// parseTime reads seconds with up to nine decimals, as the Engine's clients send them. "" is no time.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	sec, frac, _ := strings.Cut(s, ".")
	if len(frac) > 9 {
		return time.Time{}, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	ns, err := strconv.ParseUint(frac+"000000000"[len(frac):], 10, 32)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(n, int64(ns)), nil
}

// insertInto queues something for the followers, in front of the next record to be stored.
func (l *logStore) insertInto(raw func(*follower) []byte) {
	for f := range l.followers {
		f.insert(insert{pos: l.end(), raw: raw(f)})
	}
}

func (f *follower) insert(in insert) {
	f.inserts = append(f.inserts, in)
	f.poke()
}

// follows says whether f is sent what is yet to be written.
func (f *follower) follows() bool { return f.end == math.MaxUint64 }
