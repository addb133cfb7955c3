package stream

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/capture/testkit"
)

// Whatever ends the reading of a log, its body is closed: no connection and no
// goroutine stays.
func TestNoBodyIsLost(t *testing.T) {
	stop := errors.New("stop")
	for name, read := range map[string]func(t *testing.T, e *dockertest.Engine, c *dockertest.Ctr, s *stream) error{
		"the end of the log": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			return newReaders(s).follow.Read(t.Context(), false)
		},
		"garbage": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				c.Inject([]byte("\xff\xfe garbage that is no frame"))
			}()
			return newReaders(s).follow.Read(t.Context(), true)
		},
		"an error of the Engine's": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				c.SystemErr("disk on fire")
			}()
			return newReaders(s).follow.Read(t.Context(), true)
		},
		"an answer that is an error": func(t *testing.T, e *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			defer e.Override(dockertest.Logs, c, dockertest.Answer{Status: http.StatusInternalServerError, Body: make([]byte, 1<<20)})()
			return newReaders(s).follow.Read(t.Context(), true)
		},
		"cancelled while reading": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				_ = c.WaitFollowers(t.Context(), 1)
				cancel(stop)
			}()
			return newReaders(s).follow.Read(ctx, true)
		},
		"cancelled before the answer": func(t *testing.T, e *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			release := e.Hang()
			defer release()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, stop)
			defer cancel()
			return newReaders(s).follow.Read(ctx, true)
		},
		"too short a tail": func(t *testing.T, _ *dockertest.Engine, c *dockertest.Ctr, s *stream) error {
			testkit.Must(t, s.BeginAt(t.Context(), position.Position{Kind: position.FromTime, TS: 1}))
			c.Stdout(testkit.Sequence("more", 0, 5000)...)
			return newReaders(s).follow.Read(t.Context(), false)
		},
		"a panic": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			s.all.Out.Lock()
			s.Make("", nil) // each record panics
			s.all.Out.Unlock()
			return newReaders(s).follow.Read(t.Context(), true)
		},
		"opened for a rotation that did not come": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			f := newReaders(s).follow
			testkit.Must(t, f.Read(t.Context(), false))
			return f.Rotate(t.Context()) // nothing is followed
		},
		"a probe": func(t *testing.T, _ *dockertest.Engine, _ *dockertest.Ctr, s *stream) error {
			_, err := newReaders(s).follow.Behind(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockertest.Start(t)
			c := e.Run(dockertest.Container{Name: "web"})
			c.Stdout(testkit.Sequence("out", 0, 2000)...)
			s := newSet(t, e.Host()).at(t, c.ID, position.Position{})
			use := func() (fds, goroutines int) {
				s.all.Engine.CloseIdle()
				return testkit.FDs(), runtime.NumGoroutine()
			}
			fds, goroutines := use()
			connections := s.all.Engine.Connections()
			for range 5 {
				t.Logf("ended by: %v", read(t, e, c, s))
				testkit.Must(t, c.WaitFollowers(t.Context(), 0))
			}
			waitFor(t, "no more to be open than before", func() bool {
				f, g := use()
				return f <= fds && g <= goroutines && s.all.Engine.Connections() <= connections
			})
		})
	}
}
