package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture"
)

func TestHealthz(t *testing.T) {
	for listen, want := range map[string]string{
		"":                 "http://127.0.0.1:8001/healthz",
		"0.0.0.0:9000":     "http://127.0.0.1:9000/healthz",
		":9000":            "http://127.0.0.1:9000/healthz",
		"[::]:9000":        "http://[::1]:9000/healthz",
		"10.1.2.3:8001":    "http://10.1.2.3:8001/healthz",
		"agent.local:8001": "http://agent.local:8001/healthz",
	} {
		if have, err := healthz(listen); err != nil || have != want {
			t.Errorf("%q: %q, %v, want %q", listen, have, err, want)
		}
	}
	if _, err := healthz("8001"); err == nil {
		t.Error("a port alone is no address")
	}
	for _, o := range capture.Options() {
		if o.Key == "Metrics_Listen" && o.Default != defaultListen {
			t.Errorf("the option's default is %s", o.Default)
		}
	}
}

func TestCheck(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer s.Close()
	addr := strings.TrimPrefix(s.URL, "http://")
	for _, test := range []struct {
		args   []string
		listen string
		ok     bool
	}{
		{nil, addr, true},
		{nil, "off", true},
		{nil, "OFF", true},
		{[]string{s.URL + "/healthz"}, "off", true},
		{[]string{s.URL + "/other"}, addr, false},
		{[]string{"one", "two"}, addr, false},
		{nil, "127.0.0.1:1", false},
	} {
		if err := check(test.args, test.listen); (err == nil) != test.ok {
			t.Errorf("%q, METRICS_LISTEN=%s: %v", test.args, test.listen, err)
		}
	}
}
