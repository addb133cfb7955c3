package e2e

import (
	"regexp"
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

// TestRecreate: a container that is removed and created again under its name is another one, read from its beginning.
func TestRecreate(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("recreate")
		p := start(t, a, setup{inputs: []options{input(e, name)}})
		var want []Line
		for range 3 {
			c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=500", "-size=100"}})
			c.Wait()
			lines, counts := wanted(c)
			want = append(want, lines...)
			p.awaitRecords(counts)
			c.Remove()
		}
		exact(t, want, arrived(p.stop(), "docker"))
	})
}

// TestRestart: a container that is stopped and started again goes on where it was.
func TestRestart(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("restart")
		p := start(t, a, setup{inputs: []options{input(e, name)}})
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=100", "-size=100", "-hold"}})
		for i := range 5 {
			awaitWritten(t, c, (i+1)*200)
			c.Restart()
		}
		awaitWritten(t, c, 6*200)
		c.Stop()
		complete(t, p, c)
	})
}

// TestEngineAbsent: an Engine that is absent at the start, comes, goes away and comes back. The container writes on all
// the time; none of its lines is lost or doubled.
func TestEngineAbsent(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		door := newDoor(t, e)
		name := unique("absent")
		in := input(e, name)
		in["Docker_Host"] = door.host()
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=3000", "-rate=500", "-size=100"}})
		p := start(t, a, setup{inputs: []options{in}})
		p.awaitLog(regexp.MustCompile(regexp.QuoteMeta(door.path)), 1)

		door.open()
		p.awaitRecords(map[string]int{c.ID: 500})
		door.shut()
		door.open()
		c.Wait()
		complete(t, p, c)
	})
}
