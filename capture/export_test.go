package capture

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/fdguard"
	"fluent-bit-docker-logs/capture/outbox"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
	"fluent-bit-docker-logs/capture/supervise"
)

// What tests of whole captures set and see, beside what anybody can. They are another package.

const (
	MayStayAway   = mayStayAway
	DefaultSocket = defaultSocket
)

func LocalSocket(usual string) string { return localSocket(usual) }

// IsOwn says whether a process with that mountinfo and cgroup runs in the container.
func IsOwn(mountinfo, cgroup string, c *container.Container) bool {
	own := ownContainerIn(mountinfo, cgroup)
	return own.is(c)
}

func (c *Config) SetDial(dial func(context.Context) (net.Conn, error)) { c.dial = dial }

func (c *Config) SetFollows(follows func(id string, old, next uint64) bool) { c.follows = follows }

func (c *Config) SetCallTimeout(d time.Duration) { c.callTimeout = d }

func (c *Config) SetTurnsSilent(on bool) { c.turnsSilent = on }

func (c *Config) SetUnwatched(on bool) { c.unwatched = on }

func (c *Config) Wanted(ctr *container.Container, self string) bool { return c.wanted(ctr, self) }

func (c *Collector) API() *engine.Client { return c.api }

func (c *Collector) Guard() *fdguard.Guard { return c.guard }

func (c *Collector) Outbox() *outbox.Outbox { return c.out }

func (c *Collector) Store() *checkpoint.Store { return c.store }

func (c *Collector) StreamSet() *stream.Set { return c.streams }

func (c *Collector) Tasks() *supervise.Supervisor { return c.sup }

func (c *Collector) CameAt() *atomic.Int64 { return &c.cameAt }

// Counted is what the capture counts.
func (c *Collector) Counted() *metrics { return c.metrics }

// PerContainer are the metrics of each container.
func (c *Collector) PerContainer(instance string) []*dto.MetricFamily {
	return c.metrics.read.Containers(instance)
}

// Disk is how much a file system has, in bytes.
type Disk struct{ Free, Size uint64 }

// Disk is what was seen last of the one that something is on, nothing where it was not.
func (c *Collector) Disk(of string) (d Disk) {
	for _, s := range c.disks.each() {
		if s.of == of {
			d = Disk{s.free, s.size}
		}
	}
	return d
}

// SetDisk has it seen until the next look.
func (c *Collector) SetDisk(of, dir string, d Disk) {
	c.disks.mu.Lock()
	defer c.disks.mu.Unlock()
	c.disks.space = []diskSpace{{of: of, dir: dir, free: d.Free, size: d.Size}}
}

// Health is how the capture is.
func (c *Collector) Health() status.Health { return c.View().Health() }

// Streams are how each stream is, by name.
func (c *Collector) Streams() (all []status.Stream) {
	for _, s := range c.View().ByName() {
		all = append(all, *s)
	}
	return all
}
