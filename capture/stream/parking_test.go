package stream

import (
	"fmt"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/capture/testkit"
)

// All logs are opened anew where the guard asks for that, and no line is lost or
// doubled.
func TestRecycle(t *testing.T) {
	for _, reader := range []string{File, Follow, Poll} {
		t.Run(reader, func(t *testing.T) {
			e := dockertest.Start(t)
			set := newSet(t, e.Host(), func(c *Config) { c.Reader = reader })
			set.run(t)
			c := e.Run(dockertest.Container{Name: "web", LogDir: t.TempDir()})
			for i := range 10 {
				c.Stdout(fmt.Sprint("out ", i))
				set.waitTexts(t, c.ID, i+1)
				if n := set.Guarded().Recycle(); n != 1 {
					t.Errorf("%d logs", n)
				}
			}
			testkit.CheckSequence(t, "lines", testkit.Sequence("out", 0, 10), set.texts(c.ID))
		})
	}
}
