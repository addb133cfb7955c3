package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// directConns are connections to an Engine on this host for requests that are
// answered at once, one after the other on each. net/http's client has two
// goroutines for every connection, and handing a poll to them and back takes
// three times the CPU of doing it here (BenchmarkPoll); with ten thousand
// containers polls are most of what the agent does.
type directConns struct {
	dial func(ctx context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*directConn // the one used last at the end; guarded by mu
	expiry *time.Timer   // closes those that are idle for long; nil while there are none; guarded by mu
}

type directConn struct {
	net.Conn
	r      *bufio.Reader
	req    []byte // the last request
	usedAt time.Time
}

// IdleTimeout is how long a connection is kept that nobody uses. It is short,
// since a burst of requests opens many and a new one costs little.
const IdleTimeout = 3 * time.Second

var errStatus = errors.New("the Engine answered with an error")

// get requests a path (with its query). The caller closes the body, also after
// an error of a read. An answer other than 200 is errStatus.
func (d *directConns) get(ctx context.Context, path string) (io.ReadCloser, error) {
	for {
		c, fresh, err := d.take(ctx)
		if err != nil {
			return nil, err
		}
		body, err := c.get(ctx, path, d)
		if err == nil || fresh || ctx.Err() != nil || errors.Is(err, errStatus) {
			return body, err
		}
		// The Engine had closed the connection while it was idle.
	}
}

func (d *directConns) take(ctx context.Context) (c *directConn, fresh bool, err error) {
	d.mu.Lock()
	if k := len(d.idle); k > 0 {
		c = d.idle[k-1]
		d.idle = d.idle[:k-1]
		d.mu.Unlock()
		return c, false, nil
	}
	d.mu.Unlock()
	conn, err := d.dial(ctx)
	if err != nil {
		return nil, false, err
	}
	return &directConn{Conn: conn, r: bufio.NewReaderSize(conn, 4<<10)}, true, nil
}

// put keeps a connection for the next request.
func (d *directConns) put(c *directConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.usedAt = time.Now()
	if d.idle = append(d.idle, c); len(d.idle) > MaxOpens {
		d.drop(1)
	}
	if d.expiry == nil {
		d.expiry = time.AfterFunc(IdleTimeout, d.expire)
	}
}

// expire closes the connections that have not been used for long.
func (d *directConns) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := 0
	for old < len(d.idle) && time.Since(d.idle[old].usedAt) >= IdleTimeout {
		old++
	}
	d.drop(old)
	d.expiry = nil
	if len(d.idle) > 0 {
		d.expiry = time.AfterFunc(IdleTimeout-time.Since(d.idle[0].usedAt), d.expire)
	}
}

// closeIdle closes the connections that nobody uses at the moment.
func (d *directConns) closeIdle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(len(d.idle))
}

// drop closes the n connections that were used longest ago. d.mu is held.
func (d *directConns) drop(n int) {
	for _, c := range d.idle[:n] {
		_ = c.Close()
	}
	d.idle = slices.Delete(d.idle, 0, n)
}

// get makes one request. The connection goes back to d when the body was read
// to its end.
func (c *directConn) get(ctx context.Context, path string, d *directConns) (io.ReadCloser, error) {
	b := &directBody{conn: c, conns: d, ctx: ctx}
	b.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	resp, err := c.roundTrip(path) //nolint:bodyclose // directBody closes the connection, which is all that an answer holds
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errStatus
	}
	if err != nil {
		b.stop()
		_ = c.Close()
		return nil, Cause(ctx, err)
	}
	b.resp = resp
	return b, nil
}

func (c *directConn) roundTrip(path string) (*http.Response, error) {
	c.req = append(append(append(c.req[:0], "GET "...), path...), " HTTP/1.1\r\nHost: docker\r\nUser-Agent: docker_logs\r\n\r\n"...)
	if _, err := c.Write(c.req); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.r, nil)
}

// directBody is the body of an answer.
type directBody struct {
	ctx   context.Context //nolint:containedctx // the request's
	conn  *directConn
	conns *directConns
	resp  *http.Response
	stop  func() bool // of what ends the request with ctx
	ended bool
}

func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	if err != nil && !b.ended {
		err = Cause(b.ctx, err)
	}
	return n, err
}

// Close may be called more than once, as that of any body.
func (b *directBody) Close() error {
	if b.conn == nil {
		return nil
	}
	c := b.conn
	b.conn = nil
	// Where stop comes too late the deadline was set, and the connection is of
	// no more use.
	if b.stop() && b.ended && !b.resp.Close {
		b.conns.put(c)
		return nil
	}
	return c.Close()
}
