package serve

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/events"
	"fluent-bit-docker-logs/capture/dockertest/version"
)

// Server answers the requests to the Engine. It implements http.Handler.
type Server struct {
	Clock      func() time.Time
	Spoken     *version.Spoken
	Containers *containers.Set
	Events     *events.Hub
	Faults     *Faults
	Latency    *Latency
	Counts     *Counts
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ep, ref, ver := route(r.URL.Path)
	s.Counts.count(ep)
	w, there := s.Latency.take(w, r, ep)
	if !there {
		return
	}
	s.headers(w.Header())
	var found []*containers.Ctr
	var c *containers.Ctr
	if ref != "" {
		if found = s.Containers.Find(ref); len(found) == 1 {
			c = found[0]
		}
	}
	if s.Faults.answer(w, r, ep, c) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		fail(w, http.StatusMethodNotAllowed, "method not allowed: this Engine can only be read")
		return
	}
	if text := s.refusal(ver); text != "" {
		fail(w, http.StatusBadRequest, text)
		return
	}
	switch {
	case ref != "" && len(found) == 0:
		fail(w, http.StatusNotFound, "No such container: "+ref)
	case len(found) > 1:
		fail(w, http.StatusBadRequest, "multiple IDs found with provided prefix: "+ref)
	default:
		s.answer(w, r, ep, c)
	}
}

func (s *Server) headers(h http.Header) {
	api := s.Spoken.API()
	h.Set("Api-Version", api.String())
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", "linux")
	h.Set("Server", "Docker/"+api.Release()+" (linux)")
	if v := s.Spoken.Podman; v != "" {
		h.Set("Server", "Libpod/"+v+" (linux)")
		h.Set("Libpod-Api-Version", v)
	}
}

// refusal says why that client is not answered, "" if it is.
func (s *Server) refusal(ver string) string {
	api, low := s.Spoken.Versions()
	switch v, ok := version.Parse(ver); {
	case ok && v < low:
		return fmt.Sprintf("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", ver, low)
	case ok && v > api:
		return fmt.Sprintf("client version %s is too new. Maximum supported API version is %s", ver, api)
	}
	return ""
}

// answer gives the true answer. c is nil where the endpoint is about none.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, ep Endpoint, c *containers.Ctr) {
	switch ep {
	case Ping:
		h := w.Header()
		h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "OK")
	case Version:
		serveVersion(w, s.Spoken)
	case Info:
		serveInfo(w, s.Containers, s.Spoken.API())
	case List:
		serveList(w, r, s.Containers, s.Clock())
	case Inspect:
		serveInspect(w, c.View(), s.Spoken.Podman != "")
	case Logs:
		serveLogs(w, r, c, s.Spoken, s.Clock())
	case Events:
		serveEvents(w, r, s.Events, s.Spoken, s.Clock)
	default:
		fail(w, http.StatusNotFound, "page not found")
	}
}
