package dockertest

import (
	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/serve"
	"fluent-bit-docker-logs/capture/dockertest/streams"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

type (
	// Container says what [Engine.Create] makes, see [containers.Container].
	Container = containers.Container
	// Ctr is a container of the fake Engine, see [containers.Ctr].
	Ctr = containers.Ctr
	// Event is one event of the Engine, see [events.Event].
	Event = events.Event
	// Endpoint names a kind of request, see [serve.Endpoint].
	Endpoint = serve.Endpoint
	// Answer is a request's answer in the place of the true one. See
	// [serve.Answer].
	Answer = serve.Answer
	// LogQuery is a request for a log, see [streams.LogQuery].
	LogQuery = streams.LogQuery
	// Std is which std stream a line is of, see [wire.Std].
	Std = wire.Std
)

// The std streams of a container, see [wire.Std].
const (
	Stdout = wire.Stdout
	Stderr = wire.Stderr
)

// The endpoints that the Engine answers, see [serve.Endpoint].
const (
	Ping    = serve.Ping
	Version = serve.Version
	Info    = serve.Info
	List    = serve.List
	Inspect = serve.Inspect
	Logs    = serve.Logs
	Events  = serve.Events
	Any     = serve.Any
)

// AppendFrame appends a frame of a log stream, see [wire.AppendFrame].
func AppendFrame(dst []byte, std Std, payload []byte) []byte {
	return wire.AppendFrame(dst, std, payload)
}

// HugeHeader is a frame header that promises 4 GB.
func HugeHeader() []byte { return wire.HugeHeader() }
