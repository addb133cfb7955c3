package capture_test

import (
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// What the capture sees of DB's disk is in its metrics and, where it is nearly
// full, in its health.
func TestDiskOfDB(t *testing.T) {
	e := dockertest.Start(t)
	a := startAgent(t, e.Host(), dbOptions(t, nil))
	a.connected()
	a.waitFor("a look at the disks", func() bool { return a.col.Disk("db") != capture.Disk{} })
	if d := a.col.Disk("db"); d.Size == 0 || d.Free > d.Size {
		t.Errorf("%+v", d)
	}
	a.col.SetDisk("db", "/d", capture.Disk{Free: 1 << 20, Size: 1 << 30})
	if h := a.col.Health(); h.Ready || !strings.Contains(strings.Join(h.Problems, ";"), "a disk is nearly full: /d has 1 MB of 1024 MB free") {
		t.Errorf("%+v", h.Problems)
	}
	a.stop()
}
