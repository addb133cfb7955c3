package serve

import (
	"strings"

	"fluent-bit-docker-logs/capture/dockertest/version"
)

// Endpoint names a kind of request.
type Endpoint string

// The endpoints that the Engine answers.
const (
	Ping    Endpoint = "ping"
	Version Endpoint = "version"
	Info    Endpoint = "info"
	List    Endpoint = "list"
	Inspect Endpoint = "inspect"
	Logs    Endpoint = "logs"
	Events  Endpoint = "events"
	Any     Endpoint = "" // in Override and Requests: every one of them
)

// route finds the endpoint and the container of a path.
// ver is the API version in front of it, "" if there is none.
func route(path string) (ep Endpoint, ref, ver string) {
	if rest, ok := strings.CutPrefix(path, "/v"); ok {
		if v, tail, ok := strings.Cut(rest, "/"); ok {
			if _, isVersion := version.Parse(v); isVersion {
				ver, path = v, "/"+tail
			}
		}
	}
	switch path {
	case "/_ping":
		return Ping, "", ver
	case "/version":
		return Version, "", ver
	case "/info":
		return Info, "", ver
	case "/events":
		return Events, "", ver
	case "/containers/json":
		return List, "", ver
	}
	if rest, ok := strings.CutPrefix(path, "/containers/"); ok {
		switch ref, what, _ := strings.Cut(rest, "/"); what {
		case "json":
			return Inspect, ref, ver
		case "logs":
			return Logs, ref, ver
		}
	}
	return Any, "", ver
}
