package capture_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/dockertest"
)

// A killed agent goes on from what it had acknowledged last, however long ago
// the file of DB was saved.
func TestKilledWithJournal(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	db := filepath.Join(t.TempDir(), "positions.json")
	options := map[string]string{"DB": db, "DB_Sync": "1m", "Start_From": "beginning"}
	a := startAgent(t, e.Host(), options)
	a.connected()
	for i := range 100 {
		c.Stdout(fmt.Sprint("line ", i))
	}
	a.waitTexts(c.ID, "", 100)
	a.waitFor("all is in the journal", func() bool {
		cp, err := checkpoint.Peek(db)
		must(t, err)
		if cp == nil {
			return false
		}
		entry := cp.Containers[c.ID]
		p, err := entry.Position.Restore()
		here := a.stream(c.ID).Position
		return err == nil && p.Anchor.N > 0 && here != nil && here.UnixNano() == p.Anchor.Newest().TS
	})
}
