package capture_test

import (
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// While Fluent Bit takes nothing, memory is bounded, the log is not left open
// unread, and nothing is lost.
func TestBackPressure(t *testing.T) {
	const limit = 1 << 20
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), map[string]string{"Buffer_Limit": "1M"})
	a.connected()
	a.pause(true)
	c := e.Run(dockertest.Container{Name: "web"})
	line := strings.Repeat("x", 500)
	c.Flood(dockertest.Stdout, 20000, func(dst []byte, i int) []byte { return append(dst, line...) })
	c.Stdout("last")
	a.waitFor("a full outbox", func() bool { return a.col.View().Outbox.Bytes >= limit })
	must(t, c.WaitFollowers(testContext(t), 0))
	if n := a.col.View().Outbox.Bytes; n > limit+(decode.MaxWindow*2) {
		t.Errorf("%d bytes wait for Fluent Bit, Buffer_Limit is %d", n, limit)
	}
	other := e.Run(dockertest.Container{Name: "other"})
	other.Stdout("line")
	a.pause(false)
	a.waitTexts(c.ID, "", 20001)
	a.waitTexts(other.ID, "", 1)
	have := a.texts(c.ID, "")
	if len(have) != 20001 || have[20000] != "last" {
		t.Errorf("%d lines, the last is %.20q", len(have), have[len(have)-1])
	}
}
