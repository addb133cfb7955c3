package api

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader"
	"fluent-bit-docker-logs/capture/reader/readertest"
	"fluent-bit-docker-logs/capture/supervise"
	"fluent-bit-docker-logs/capture/testkit"
)

// What every reader must do.
func TestReaders(t *testing.T) {
	t.Run("follow", func(t *testing.T) {
		readertest.Run(t, func(t *testing.T) *readertest.Source { return source(t, func(f *Follow) reader.Reader { return f }) })
	})
	t.Run("poll", func(t *testing.T) {
		readertest.Run(t, func(t *testing.T) *readertest.Source {
			return source(t, func(f *Follow) reader.Reader { return NewPoll(f) })
		})
	})
}

// source is a log that a fake Engine keeps.
func source(t *testing.T, open func(*Follow) reader.Reader) *readertest.Source {
	return sourceOf(t, new(*dockertest.Ctr), open)
}

// sourceOf is source, which says of which container the log is.
func sourceOf(t *testing.T, of **dockertest.Ctr, open func(*Follow) reader.Reader, opts ...dockertest.Option) *readertest.Source {
	e := dockertest.Start(t, opts...)
	client, err := engine.New(engine.Options{Host: e.Host()})
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, client.Close()) })
	_, err = client.Connect(t.Context())
	testkit.Must(t, err)
	conn := engine.NewState()
	conn.Set(true)
	c := e.Run(dockertest.Container{Name: "web"})
	*of = c
	inspected, err := client.Inspect(t.Context(), c.ID)
	testkit.Must(t, err)
	shared := &Shared{
		Client: client, Opens: make(supervise.Semaphore, 4), Pollers: NewPool(conn, 4), Ahead: &atomic.Int64{},
		Late: prometheus.NewCounter(prometheus.CounterOpts{}), Gaps: prometheus.NewCounter(prometheus.CounterOpts{}),
		Options: Options{PollMin: time.Millisecond, PollMax: 10 * time.Millisecond, ActiveRate: 1, Rotate: time.Hour, Heartbeat: time.Hour},
	}
	t.Cleanup(shared.Pollers.Wait)
	x := &readertest.Source{
		Container: *inspected,
		Stdout:    func(lines ...string) { c.Stdout(lines...) },
		Stderr:    func(lines ...string) { c.Stderr(lines...) },
		Cut:       func() { c.Forget(c.Records()) },
	}
	memory := &Memory{}
	follows := map[reader.Reader]*Follow{}
	x.Open = func(s *readertest.Stream) reader.Reader {
		f := NewFollow(s.Log, s, shared, memory)
		r := open(f)
		follows[r] = f
		return r
	}
	x.Begin = func(ctx context.Context, r reader.Reader) error { return follows[r].Begin(ctx) }
	return x
}
