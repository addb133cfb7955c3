package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// Silent streams are opened anew now and then, and at once where one writes again.
func TestSilentStreams(t *testing.T) {
	const leftOut = "it is left as it is"
	for _, reader := range []string{readerFollow, readerFile} {
		t.Run(reader, func(t *testing.T) {
			e := dockertest.Start(t)
			c := e.Run(dockertest.Container{Name: "web", LogDir: t.TempDir()})
			a := startAgent(t, e.Host(), map[string]string{"Reader": reader, "Start_From": "beginning"}, func(c *capture.Config) {
				c.RotateInterval = 20 * time.Millisecond
				c.SetTurnsSilent(false)
			})
			a.waitFor("the third rotation", func() bool { return a.rotations() >= 3 })
			if n := strings.Count(a.log.String(), leftOut); n < 2*9 {
				t.Errorf("%d rotations of a silent stream were left out, of 20", n)
			}
			for i := range 20 {
				before := a.rotations()
				c.Stdout("line")
				a.waitRecords(i + 1)
				a.waitFor("a rotation", func() bool { return a.rotations() > before })
			}
			if n, turns := strings.Count(a.log.String(), leftOut), a.rotations(); n > 9*turns {
				t.Errorf("%d were left out, %d not", n, turns)
			}
		})
	}
}
