package capture

import (
	"fluent-bit-docker-logs/capture/page"
	"fluent-bit-docker-logs/capture/status"
)

// View tells how the capture is.
func (c *Collector) View() *status.View {
	v := &status.View{Began: c.began, Streams: c.streams.View(), FDs: c.guard.Count(), NearlyFull: c.disks.nearlyFull(), ListFails: c.failing.Lists(), Unanswered: c.failing.Inspects()}
	v.Totals = c.metrics.totals()
	for i := range v.Streams {
		v.Totals.Lag = max(v.Totals.Lag, v.Streams[i].Lag)
	}
	v.Engine.Reachable, _ = c.conn.Get()
	since, nextTry, why := c.conn.Since()
	v.Engine.Since, v.Engine.NextTry = since.UTC(), status.Moment(nextTry)
	if why != nil {
		v.Engine.Error = why.Error()
	}
	if e := c.engine.Load(); e != nil {
		v.Engine.Version, v.Engine.API = e.Version, e.API
	}
	v.Tasks.Stalled, v.Tasks.Leaked = c.sup.State()
	v.Tasks.Heartbeats = make(map[string]float64)
	for _, kind := range taskKinds { // there whether one runs or not
		v.Tasks.Heartbeats[kind] = 0
	}
	for kind, age := range c.sup.Ages() {
		v.Tasks.Heartbeats[kind] = age.Seconds()
	}
	v.Outbox = status.Outbox{Bytes: c.out.Size(), Limit: c.out.Limit, Outstanding: c.out.Outstanding(), Refuses: c.out.IsRefusing()}
	v.Records.Appended, v.Records.Acked, v.Records.Refused = c.out.Totals()
	for _, d := range c.disks.each() {
		v.Disks = append(v.Disks, status.Disk{Of: d.of, Free: d.free, Size: d.size})
	}
	if c.saver != nil {
		v.DB = &status.DB{UpToDate: c.saver.UpToDate(), Fails: c.saver.Fails()}
	}
	v.LastError, v.LastErrorAt = c.last.Get()
	return v
}

// Totals returns the most important metrics.
func (c *Collector) Totals() status.Totals {
	t := c.metrics.totals()
	t.Lag = c.streams.GreatestLag()
	return t
}

// Lines are the lines of each container, and of all; see [page.AllLines].
func (c *Collector) Lines(yield func(id string, lines uint64) bool) {
	if yield(page.AllLines, uint64(valueOf(c.metrics.Lines))) {
		c.streams.Lines(yield)
	}
}
