package capture

import (
	"context"
	"log/slog"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/discovery"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
)

// newDiscovery makes what finds the containers, whose streams run until ctx is done.
func newDiscovery(ctx context.Context, c *Collector) *discovery.Discovery {
	return discovery.New(discovery.Options{
		Engine: c.api, State: c.conn, Streams: c.streams.During(ctx), Store: c.store, Failing: c.failing,
		Choice: &choice{Config: c.cfg, own: &c.own, log: c.log, missed: c.streams.Missed},
		Host:   c.cfg.DockerHost, Reader: c.cfg.Reader, DB: c.cfg.DB, Heartbeat: c.cfg.HeartbeatInterval, Resync: c.cfg.ResyncInterval,
		Connected: func(info engine.Info) { c.engine.Store(&info) }, Listed: c.saveSoon, Readers: c.readers,
		Counts: c.metrics.found,
	}, c.log)
}

// readers says how many containers are read by what.
func (c *Collector) readers() []any {
	n := c.View().ByReader()
	return []any{"by_file", n[stream.File], "by_follow", n[stream.Follow], "by_poll", n[stream.Poll], "not_yet", n[status.NoReader]}
}

// choice is which containers are wanted, as discovery asks for it.
type choice struct {
	*Config
	own    *ownContainer
	log    *slog.Logger
	missed func(*container.Container)
}

// Wanted says whether the container's log is to be captured.
func (d *choice) Wanted(c *container.Container) bool { return d.wanted(c, d.own.get()) }

// ByImage says whether that hangs on a container's image.
func (d *choice) ByImage() bool { return d.byImage() }

// Recognise says, once, that an inspected container is the own one.
func (d *choice) Recognise(c *container.Container) { d.own.recognise(d.log, c) }

// Unmatched says which options match nothing.
func (d *choice) Unmatched(all []*container.Container) { d.sayUnmatched(d.log, all) }

// Missed counts and says that a container was removed that had no stream.
func (d *choice) Missed(c *container.Container) { d.missed(c) }
