package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"fluent-bit-docker-logs/docker/soak"
)

// counter counts lines, and throws them away.
type counter struct{ n atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}

// here is the sink of an agent that sends its lines to this process.
func (r *run) here() io.Writer {
	if r.tally != nil {
		return r.tally
	}
	c := &counter{}
	r.count = func(context.Context) (int, error) { return int(c.n.Load()), nil }
	return c
}

// listen opens a TCP port for an agent's lines, and returns its address.
func (r *run) listen() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	r.sink = l
	w := r.here()
	r.receiving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.receiving.Go(func() {
				_, _ = io.CopyBuffer(w, struct{ io.Reader }{conn}, make([]byte, 64<<10)) // until the agent has ended
				_ = conn.Close()
			})
		}
	})
	return l.Addr().String(), nil
}

// scrape counts by a metric of the agent's endpoint.
func (r *run) scrape(url string, names ...string) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r.count = func(ctx context.Context) (int, error) {
		m, err := soak.Scrape(ctx, client, url)
		if err != nil {
			return 0, nil //nolint:nilerr // it does not answer yet, or is stopped
		}
		n := 0
		for _, name := range names {
			n += int(m.Sum(name))
		}
		return n, nil
	}
}

// lastIn counts by the last number that a pattern finds in a file of the agent's.
func (r *run) lastIn(path, pattern string) {
	re := regexp.MustCompile(pattern)
	r.count = func(context.Context) (int, error) {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil // not yet
		}
		found := re.FindAllSubmatch(b, -1)
		if err != nil || len(found) == 0 {
			return 0, err
		}
		return strconv.Atoi(string(found[len(found)-1][1]))
	}
}

// read takes what the agent has written to its file since the last time.
func (r *run) read() error {
	if r.out == "" || r.tally == nil {
		return nil
	}
	if r.outFile == nil {
		f, err := os.Open(r.out)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not yet
		} else if err != nil {
			return err
		}
		r.outFile = f
	}
	_, err := io.CopyBuffer(r.tally, struct{ io.Reader }{r.outFile}, make([]byte, 256<<10))
	return err
}
