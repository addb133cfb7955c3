package dockertest

import (
	"time"

	"fluent-bit-docker-logs/capture/dockertest/listen"
)

// Option changes how an Engine starts.
type Option func(*settings)

// settings are what options set.
type settings struct {
	clock       func() time.Time
	listen      listen.Options
	api, minAPI string
	podman      string // its version; "": the Engine is Docker's
	retention   int
	liveRestore bool
}

// WithClock replaces the clock that stamps log records and events. It is called under locks: it must not call back into the package.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.clock = now } }

// WithAPIVersion makes the Engine start as another release, see [Engine.SetAPIVersion].
func WithAPIVersion(api, minAPI string) Option {
	return func(s *settings) { s.api, s.minAPI = api, minAPI }
}

// WithSocket sets the path of the unix socket. A socket that nobody serves is replaced; Close removes it.
func WithSocket(path string) Option { return func(s *settings) { s.listen.Socket = path } }

// WithTCP makes the Engine listen on a loopback port too, see [listen.Sockets.TCPHost].
func WithTCP() Option { return func(s *settings) { s.listen.TCP = true } }

// InMemory makes the Engine listen in memory, see [listen.Sockets.Dial].
func InMemory() Option { return func(s *settings) { s.listen.InMemory = true } }

// WithLiveRestore sets what Down does to containers, see [containers.Set.SetLiveRestore].
func WithLiveRestore() Option { return func(s *settings) { s.liveRestore = true } }

// WithPodman makes the Engine Podman of that version: see package podman.
func WithPodman(version string) Option {
	return func(s *settings) { s.podman, s.api, s.minAPI = version, "1.41", "" }
}

// WithRetention keeps only the last n records of each container.
// It is as if older ones had been rotated away.
func WithRetention(n int) Option { return func(s *settings) { s.retention = n } }
