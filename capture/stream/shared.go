package stream

import (
	"log/slog"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/reader/file"
	"fluent-bit-docker-logs/capture/say"
	"fluent-bit-docker-logs/capture/supervise"
)

// shared is what all streams have in common. It is made before the first one, and
// knows none of them.
type shared struct {
	Options
	log   *slog.Logger
	looks supervise.Semaphore // streams that inspect their containers

	lines *lines.Shared
	files *file.Shared
	ofAPI *api.Shared

	slots *slots
	turns *rotationLog
	said  saidOnce
}

// saidOnce is what is said of each container, or of each label, once.
type saidOnce struct {
	missed say.LastIDs // containers that were missed: more than one event tells of each
	met    say.LastIDs // labels that gave way to another one with the same record key
}

// maxLooks bounds how many streams inspect their containers at the same time: at
// a reconnect all do. It is more than engine.MaxOpens, because each that gets no
// answer holds up one.
const maxLooks = 64

func newShared(o Options, log *slog.Logger) *shared {
	return &shared{
		Options: o, log: log, looks: make(supervise.Semaphore, maxLooks),
		lines: lines.NewShared(o.Out, o.MaxLine, o.Std, o.Store.Now, &o.Metrics.Metrics),
		files: file.NewShared(log, o.Metrics.Damaged, o.Follows),
		ofAPI: &api.Shared{
			Client: o.Engine, Opens: make(supervise.Semaphore, engine.MaxOpens), Pollers: api.NewPool(o.State, engine.MaxOpens), Ahead: o.Store.Ahead(),
			Late: o.Metrics.Late, Gaps: o.Metrics.Gaps, Options: o.Options,
		},
		slots: newSlots(o.MaxStreams),
	}
}

// reportMissed counts and says, once, that a container was removed before its log
// was read.
func (c *shared) reportMissed(log *slog.Logger, ctr *container.Container) {
	if !c.said.missed.Add(ctr.ID) {
		return
	}
	c.Metrics.Missed.Inc()
	log.Warn("gap: the container was removed before its log could be opened, its lines, if any, are lost", "image", ctr.Image)
}
