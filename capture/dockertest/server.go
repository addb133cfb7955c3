package dockertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
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

// version is an API version; 1.51 is 151 as long as the major version is 1.
type version int

func parseVersion(s string) (version, bool) {
	major, minor, ok := strings.Cut(s, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return version(a*100 + b), ok && err1 == nil && err2 == nil
}

func (v version) String() string { return fmt.Sprintf("%d.%02d", v/100, v%100) }

// The API versions at which something changed that this package imitates.
const (
	api141 version = 141 // Engine 20.10: a single log file is renamed
	api142 version = 142 // Engine 23: content type of a multiplexed stream; the local driver keeps newlines
	api143 version = 143 // Engine 24: since is a gate
	api147 version = 147 // Engine 27.5: a damage ends the file that it is in, and no more
	api152 version = 152 // Engine 29: no deprecated fields in events; a minimum of 1.44
)

// releases maps an API version to an Engine that speaks up to it.
var releases = map[version]string{
	140: "19.03.15", 141: "20.10.24", 142: "23.0.6", 143: "24.0.9", 144: "25.0.6", 145: "26.1.5", 146: "27.1.2",
	147: "27.5.1", 148: "28.0.4", 149: "28.1.1", 150: "28.3.3", 151: "28.5.2", 152: "29.0.4", 154: "29.5.0",
}

func (v version) release() string {
	if r, ok := releases[v]; ok {
		return r
	}
	return fmt.Sprintf("29.0.0-api%v", v)
}

// SetAPIVersion makes the Engine another release: it speaks up to api and refuses requests below minAPI. An empty minAPI is what that release
// has: "1.44" from 1.52 on, "1.24" before. What depends on the release (since, newlines of the local driver, events) follows api. It panics if one of them is no version.
func (e *Engine) SetAPIVersion(api, minAPI string) {
	v, ok := parseVersion(api)
	if minAPI == "" {
		minAPI = "1.24"
		if v >= api152 {
			minAPI = "1.44"
		}
	}
	low, ok2 := parseVersion(minAPI)
	if !ok || !ok2 {
		panic(fmt.Sprintf("dockertest: API versions %q, %q", api, minAPI))
	}
	e.mu.Lock()
	e.api, e.minAPI = v, low
	e.mu.Unlock()
}

func (e *Engine) versions() (api, low version) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.api, e.minAPI
}

// route finds the endpoint and the container of a path, and the API version in front of it ("" if there is none).
func route(path string) (ep Endpoint, ref, ver string) {
	if rest, ok := strings.CutPrefix(path, "/v"); ok {
		if v, tail, ok := strings.Cut(rest, "/"); ok {
			if _, isVersion := parseVersion(v); isVersion {
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

func (e *Engine) serve(w http.ResponseWriter, r *http.Request) {
	ep, ref, ver := route(r.URL.Path)
	e.count(ep)
	api, low := e.versions()
	h := w.Header()
	h.Set("Api-Version", api.String())
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", "linux")
	h.Set("Server", "Docker/"+api.release()+" (linux)")
	if e.podman != "" {
		h.Set("Server", "Libpod/"+e.podman+" (linux)")
		h.Set("Libpod-Api-Version", e.podman)
	}

	var c *Ctr
	var lookupErr *apiError
	if ref != "" {
		c, lookupErr = e.find(ref)
	}
	if e.overridden(w, r, ep, c) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "method not allowed: this Engine can only be read")
		return
	}
	if v, ok := parseVersion(ver); ok && v < low {
		fail(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", ver, low))
		return
	} else if ok && v > api {
		fail(w, http.StatusBadRequest, fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", ver, api))
		return
	}
	if lookupErr != nil {
		fail(w, lookupErr.status, lookupErr.message)
		return
	}
	switch ep {
	case Ping:
		h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "OK")
	case Version:
		e.serveVersion(w)
	case Info:
		e.serveInfo(w)
	case List:
		e.serveList(w, r)
	case Inspect:
		e.serveInspect(w, c)
	case Logs:
		e.serveLogs(w, r, c)
	case Events:
		e.serveEvents(w, r)
	default:
		fail(w, http.StatusNotFound, "page not found")
	}
}

type apiError struct {
	status  int
	message string
}

// fail answers with an error as the API does.
func fail(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"message": message})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
