package backends

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// target is where Fluent Bit's output loki pushes to, and how it is read back.
type target struct {
	backend
	url      string    // http://host:port
	settings []setting // what conf/ must say otherwise
	pace     time.Duration
	script   string // its name for docker/backends.sh; empty where that did not start it
	http     *http.Client
}

func victoriaLogsTarget(address string) target {
	v := &victoriaLogs{url: address}
	return target{backend: v, url: address, pace: time.Second, script: "victorialogs", http: &v.http,
		settings: []setting{{"Uri", pushPath, "loki"}}}
}

// lokiTarget is a Loki that somebody else runs, at the address of LOKI_URL.
func lokiTarget(address string) (target, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return target{}, fmt.Errorf("LOKI_URL: %q is not http://host:port, the address of a Loki without TLS and password", address)
	}
	l := &loki{url: "http://" + u.Host}
	// To count is a query over all of it, which would slow it down.
	return target{backend: l, url: l.url, pace: 5 * time.Second, http: &l.http}, nil
}

// env are the variables by which conf/ finds it.
func (t target) env() []string {
	u, err := url.Parse(t.url)
	if err != nil {
		panic(err) // it was made from one
	}
	return []string{"LOKI_HOST=" + u.Hostname(), "LOKI_PORT=" + u.Port(), "VICTORIALOGS_HOST=" + u.Hostname(), "VICTORIALOGS_PORT=" + u.Port()}
}

// close lets go of its connections.
func (t target) close() { t.http.CloseIdleConnections() }
