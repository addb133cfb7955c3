package capture_test

import (
	"net/http"
	"testing"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// A proxy may refuse what is not indispensable: the capture does without.
func TestRefusals(t *testing.T) {
	refused := dockertest.Answer{Status: http.StatusForbidden, Message: "no"}
	for name, test := range map[string]struct {
		endpoints []dockertest.Endpoint
		says      string
	}{
		"ping":           {[]dockertest.Endpoint{dockertest.Ping}, "connected to the Engine"},
		"version, info":  {[]dockertest.Endpoint{dockertest.Version, dockertest.Info}, "connected to the Engine"},
		"events":         {[]dockertest.Endpoint{dockertest.Events}, "the Engine's events are refused"},
		"events and all": {[]dockertest.Endpoint{dockertest.Events, dockertest.Ping, dockertest.Info}, "the Engine's events are refused"},
	} {
		for _, api := range []string{"1.41", "1.51", "1.54"} { // older than the client, as old, and newer
			t.Run(name+"/"+api, func(t *testing.T) {
				e := dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
				for _, ep := range test.endpoints {
					e.Override(ep, nil, refused)
				}
				testRefusal(t, e, test.says)
			})
		}
	}
	for name, ep := range map[string]dockertest.Endpoint{"list": dockertest.List, "ping and version": dockertest.Any} {
		e := dockertest.Start(t)
		undo := e.Override(ep, nil, refused)
		a := startAgent(t, e.Host(), nil, soon)
		a.waitLog("the Engine refuses what is needed")
		if a.col.Health().Engine.Reachable {
			t.Errorf("%s: reachable", name)
		}
		undo()
		a.connected()
	}
}

func testRefusal(t *testing.T, e *dockertest.Engine, says string) {
	a := startAgent(t, e.Host(), nil, soon, func(c *capture.Config) { c.HeartbeatInterval = c.ResyncInterval })
	a.connected()
	a.waitLog(says)
	c := e.Run(dockertest.Container{Name: "web"})
	c.Stdout(sequence("out", 0, 10)...)
	a.waitTexts(c.ID, "", 10)
	a.waitResyncs(e, 4) // and heartbeats
	c.Stdout(sequence("out", 10, 20)...)
	a.waitTexts(c.ID, "", 20)
	checkSequence(t, "lines", sequence("out", 0, 20), a.texts(c.ID, ""))
	if h := a.col.Health(); !h.Engine.Reachable {
		t.Errorf("%+v", h)
	}
}
