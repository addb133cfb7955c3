package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// taker is where Fluent Bit's http output sends to: it takes what comes, or refuses it, or lets it hang.
type taker struct {
	port    string
	refuses atomic.Bool
	hangs   atomic.Bool
	release chan struct{} // closed: what hangs is taken
	once    sync.Once

	mu     sync.Mutex
	bodies [][]byte // guarded by mu
}

func newTaker(t *testing.T) *taker {
	k := &taker{release: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(func() { k.free(); srv.Close() })
	_, k.port, _ = net.SplitHostPort(srv.Listener.Addr().String())
	return k
}

func (k *taker) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if k.hangs.Load() {
		<-k.release // then it is taken: a chunk that is to be tried again could be given up
	}
	if err != nil || k.refuses.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	k.mu.Lock()
	k.bodies = append(k.bodies, body)
	k.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}

// free lets go what hangs.
func (k *taker) free() {
	k.hangs.Store(false)
	k.once.Do(func() { close(k.release) })
}

// texts are the bodies that were taken.
func (k *taker) texts() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bodies[:len(k.bodies):len(k.bodies)]
}
