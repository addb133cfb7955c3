package sinks

import (
	"fmt"
	"net/http"
	"testing"
)

// HTTP runs a server that takes JSON lines at /logs. Their time is at the key time.
func HTTP(t testing.TB) *Sink {
	return serve(t, func(_ *Sink, r *http.Request, body []byte) ([]Record, any, error) {
		if r.Method != http.MethodPost || r.URL.Path != "/logs" {
			return nil, nil, fmt.Errorf("this is POST /logs")
		}
		records, err := jsonLines(body, "time")
		return records, "", err
	})
}
