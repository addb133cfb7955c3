package e2e

import (
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

// TestStockCallback: the way into Fluent Bit that every version has, one buffer a second, at a rate that its ring can hold.
func TestStockCallback(t *testing.T) {
	each(t, func(t *testing.T, e *enginetest.Engine, a agent) {
		name := unique("stock")
		in := input(e, name)
		in["Ingest"] = "proxy"
		p := start(t, a, setup{inputs: []options{in}})
		c := e.Run(t, enginetest.Options{Name: name, Args: []string{"-std=both", "-lines=3000", "-rate=1000", "-size=200", "-long=40000", "-every=500"}})
		c.Wait()
		want, counts := wanted(c)
		p.awaitRecords(counts)
		exact(t, want, arrived(p.stop(), "docker"))
	})
}
