package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

func isNetError(err error) bool {
	var ne net.Error
	return errors.As(err, &ne)
}

// Transport is what the client of one connect uses.
func (a *Client) Transport() (*http.Transport, error) {
	t := &http.Transport{MaxIdleConns: MaxOpens, MaxIdleConnsPerHost: MaxOpens, IdleConnTimeout: IdleTimeout}
	if !a.tls.On {
		return t, nil
	}
	conf, err := tlsConfig(a.tls)
	t.TLSClientConfig = conf
	return t, err
}

// askVersion asks for the newest API version that the Engine speaks. It names none
// itself, as the client library does: one that is too new is refused.
func (a *Client) askVersion(ctx context.Context, cli *http.Client) (string, error) {
	res, err := a.ask(ctx, cli, "/version")
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusUnauthorized:
		return "", fmt.Errorf("%s (%w)", res.Status, ErrRefused)
	default:
		return "", errors.New(res.Status)
	}
	var v struct{ APIVersion string }
	err = json.NewDecoder(io.LimitReader(res.Body, maxVersion)).Decode(&v)
	return v.APIVersion, err
}

// ask requests a path without a version in front of it. The caller closes the body.
func (a *Client) ask(ctx context.Context, cli *http.Client, path string) (*http.Response, error) {
	url := "http://docker" + path // the transport knows the socket
	if host, ok := strings.CutPrefix(a.host, "tcp://"); ok {
		url = "http://" + host + path
		if a.tls.On {
			url = "https://" + host + path
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return cli.Do(req)
}

// maxVersion bounds an answer that has some kilobytes.
const maxVersion = 1 << 20

// countConnections has the connections of a transport counted while they are
// open.
func (a *Client) countConnections(t *http.Transport) {
	dial := t.DialContext
	if a.dial != nil {
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return a.dial(ctx) }
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		a.open.Add(1)
		local, _ := c.(*net.UnixConn)
		return &conn{Conn: c, local: local, open: &a.open, gated: &a.gated}, nil
	}
}

// tlsConfig is what the options Docker_TLS_... ask for.
func tlsConfig(t TLS) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !t.Verify} //nolint:gosec // Docker_TLS_Verify off is the operator's choice
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("Docker_TLS_CA %s holds no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// State is whether the Engine answers at the moment. Discovery, which
// always has a request open, sets it; streams wait for it instead of knocking
// one by one while the Engine is away.
type State struct {
	mu      sync.Mutex
	up      bool
	since   time.Time     // that it is so
	nextTry time.Time     // while it is not up
	why     error         // the last try failed
	changed chan struct{} // closed and replaced at each change
}

// NewState is that of an Engine that does not answer yet.
func NewState() *State { return &State{since: time.Now(), changed: make(chan struct{})} }

// Set says whether the Engine answers now.
func (s *State) Set(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up == up {
		return
	}
	s.up, s.since, s.nextTry, s.why = up, time.Now(), time.Time{}, nil
	close(s.changed)
	s.changed = make(chan struct{})
}

// Failed notes why a try to connect failed. The next one comes at nextTry.
func (s *State) Failed(why error, nextTry time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		s.why, s.nextTry = why, nextTry
	}
}

// Since returns since when the state is as it is. While the Engine is away it also
// has when it is tried next, which may have begun, and why it was not reached; zero
// and nil before the first try.
func (s *State) Since() (since, nextTry time.Time, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.nextTry, s.why
}

// Get returns the state, and a channel that its change closes.
func (s *State) Get() (up bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up, s.changed
}

// WaitUp blocks until the Engine answers.
func (s *State) WaitUp(ctx context.Context) error {
	for {
		up, changed := s.Get()
		if up {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
