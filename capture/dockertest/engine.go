package dockertest

import (
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/listen"
	"fluent-bit-docker-logs/capture/dockertest/serve"
	"fluent-bit-docker-logs/capture/dockertest/streams"
	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Engine is a fake Docker Engine. All methods may be called from any goroutine.
type Engine struct {
	*containers.Set  // its containers, and the log streams of all of them
	*events.Hub      // its events
	*listen.Sockets  // where it listens
	*serve.Faults    // answers that are not the true ones
	*serve.Latency   // the time that requests take
	*serve.Counts    // of requests
	*streams.Queries // the log requests that were made

	spoken *version.Spoken
}

// Start makes an Engine that listens until the test is over.
func Start(t testing.TB, opts ...Option) *Engine {
	t.Helper()
	e := New(opts...)
	if err := e.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// New makes an Engine. Containers can be created; nobody can connect before Serve.
func New(opts ...Option) *Engine {
	s := settings{clock: time.Now, api: "1.51"}
	for _, o := range opts {
		o(&s)
	}
	changes := new(wait.Changes) // what all who wait for the Engine wait for
	e := &Engine{
		Hub: events.NewHub(s.clock, changes), Faults: new(serve.Faults), Latency: new(serve.Latency), Counts: serve.NewCounts(changes), Queries: new(streams.Queries),
		spoken: &version.Spoken{Podman: s.podman},
	}
	e.SetAPIVersion(s.api, s.minAPI)
	e.Set = containers.NewSet(containers.Deps{
		Clock: s.clock, Spoken: e.spoken, Retention: s.retention, Events: e.Hub, Queries: e.Queries, Changes: changes,
	})
	e.SetLiveRestore(s.liveRestore)
	e.Sockets = listen.New(s.listen, &serve.Server{
		Clock: s.clock, Spoken: e.spoken, Containers: e.Set, Events: e.Hub, Faults: e.Faults, Latency: e.Latency, Counts: e.Counts,
	}, changes)
	return e
}

// Serve starts to listen. The Engine runs until Close.
func (e *Engine) Serve() error { return e.Up() }

// Close ends the Engine for good.
// It cuts every connection, waits for all requests to end, closes and keeps the log files, and removes the socket.
func (e *Engine) Close() {
	e.HangUp(true)
	e.CloseFiles()
	e.Clean()
}

// Down ends the Engine like a clean stop of dockerd.
// The socket file vanishes (ENOENT), every connection is cut, the events of the past are
// forgotten. It returns when the last request has ended.
func (e *Engine) Down() { e.down(true) }

// Crash ends the Engine like a killed dockerd.
// It is as Down, but the socket file stays, so that a connection is refused (ECONNREFUSED).
func (e *Engine) Crash() { e.down(false) }

func (e *Engine) down(unlink bool) {
	e.HangUp(unlink)
	e.ForgetEvents()
	e.EngineGone()
}

// SetAPIVersion makes the Engine another release.
// It speaks up to api and refuses requests below minAPI. An empty minAPI is what that release
// has: "1.44" from 1.52 on, "1.24" before. What depends on the release (since, newlines of the local driver, events) follows api. It panics
// if one of them is no version.
func (e *Engine) SetAPIVersion(api, minAPI string) { e.spoken.Set(api, minAPI) }
