package capture

import (
	"fluent-bit-docker-logs/capture/checkpoint"
)

// openDB takes over the positions of the checkpoint, and makes what saves them; nil
// without DB.
func openDB(c *Collector) (*checkpoint.Saver, error) {
	if c.cfg.DB == "" {
		c.log.Info("option DB is not set: positions are kept in memory, after a restart of Fluent Bit Start_From applies")
		return nil, nil
	}
	db, cp, err := checkpoint.Open(c.cfg.DB, c.log)
	if err != nil {
		return nil, err
	}
	if db.IsAhead() {
		c.store.Change()
	}
	committed := make(chan struct{}, 1)
	c.out.Journaled = committed
	saver := checkpoint.NewSaver(checkpoint.SaverOptions{
		File: db, Path: c.cfg.DB, Every: c.cfg.DBSync, Content: c.streams.Content, Retry: c.store.Change, Commits: c.streams.Commits, Committed: committed,
		Errors: c.metrics.checkpointErrors, Look: func() { c.disks.look(c.log) },
	}, c.log)
	if cp != nil {
		c.store.Load(cp)
		c.log.Info("positions were read from DB", "file", c.cfg.DB, "containers", len(cp.Containers), "saved", cp.Saved)
	}
	return saver, nil
}
