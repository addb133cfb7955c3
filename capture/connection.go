package capture

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func isNetError(err error) bool {
	var ne net.Error
	return errors.As(err, &ne)
}

// tlsTransport is a transport for a tcp:// Engine with TLS.
func tlsTransport(t TLSConfig) (*http.Transport, error) {
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
	return &http.Transport{TLSClientConfig: conf, IdleConnTimeout: 30 * time.Second}, nil
}

// connState is whether the Engine answers at the moment. Discovery, which
// always has a request open, sets it; streams wait for it instead of knocking
// one by one while the Engine is away.
type connState struct {
	mu      sync.Mutex
	up      bool
	changed chan struct{} // closed and replaced at each change
}

func newConnState() *connState { return &connState{changed: make(chan struct{})} }

func (s *connState) set(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up == up {
		return
	}
	s.up = up
	close(s.changed)
	s.changed = make(chan struct{})
}

// get returns the state and a channel that is closed when it changes.
func (s *connState) get() (up bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up, s.changed
}

// waitUp blocks until the Engine answers.
func (s *connState) waitUp(ctx context.Context) error {
	for {
		up, changed := s.get()
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
