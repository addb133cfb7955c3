package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// proxy is a socket between the agent and the Engine that can be cut, slow, away, or half open.
type proxy struct {
	path, engine string // sockets
	wg           sync.WaitGroup

	mu     sync.Mutex
	l      net.Listener      // nil while it is away
	conns  map[*passing]bool // that are open
	rate   int               // bytes a second of each connection; 0 is no limit
	frozen bool              // of what is and comes, nothing goes through any more
}

// passing is a connection from the agent to the Engine.
type passing struct {
	in, out net.Conn
	stuck   chan struct{} // closed: nothing goes through for ever
}

func newProxy(path, engine string) (*proxy, error) {
	p := &proxy{path: path, engine: engine, conns: map[*passing]bool{}}
	return p, p.open()
}

func (p *proxy) open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.l != nil {
		return nil
	}
	l, err := net.Listen("unix", p.path)
	if err != nil {
		return err
	}
	p.l = l
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(in) })
		}
	})
	return nil
}

// shut removes the socket and cuts what is open, as if the Engine were gone.
func (p *proxy) shut() {
	p.mu.Lock()
	if p.l != nil {
		_ = p.l.Close()
		p.l = nil
	}
	p.mu.Unlock()
	p.cut()
}

// cut cuts every connection in the middle of whatever it carries.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.in.Close()
		_ = c.out.Close()
	}
}

// slow bounds what each connection carries.
func (p *proxy) slow(rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// freeze lets nothing through what is open, for ever, and as long as it is on through nothing that comes.
func (p *proxy) freeze(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = on
	for c := range p.conns {
		p.stick(c)
	}
}

// stick is called with mu.
func (p *proxy) stick(c *passing) {
	select {
	case <-c.stuck:
	default:
		close(c.stuck)
	}
}

func (p *proxy) serve(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := net.Dial("unix", p.engine)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	c := &passing{in: in, out: out, stuck: make(chan struct{})}
	p.mu.Lock()
	if p.l == nil {
		p.mu.Unlock()
		return
	}
	p.conns[c] = true
	if p.frozen {
		p.stick(c)
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		wg.Go(func() {
			p.pass(c, way[0], way[1])
			// One side's end ends both: HTTP clients here do not half-close.
			_ = in.Close()
			_ = out.Close()
		})
	}
	wg.Wait()
}

func (p *proxy) pass(c *passing, from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		rate := p.rate
		p.mu.Unlock()
		b := buf
		if rate > 0 {
			b = buf[:min(len(buf), max(1, rate/10))]
		}
		n, err := from.Read(b)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
			return
		}
		select {
		case <-c.stuck:
			continue // it is read on, so that nobody knows
		default:
		}
		if rate > 0 {
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) close() {
	p.shut()
	p.wg.Wait()
}
