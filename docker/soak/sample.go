package soak

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Sample is what was measured at one moment.
type Sample struct {
	At         time.Duration // since all streams ran
	Goroutines float64
	FDs        float64 // of the process
	Threads    float64
	RSS        float64 // bytes
	Streams    float64 // that run
	Rotations  float64 // of all streams, since the start
	StreamAge  float64 // seconds, mean of the streams when they were rotated
	Heartbeat  float64 // seconds since the oldest last heartbeat of a task
	Lag        float64 // seconds
	Stalls     float64 // of streams and tasks, since the start
	Gaps       float64
	Restarts   float64 // of tasks
	Panics     float64
	Read       float64 // lines that became records
	Count              // at the sink, so far
	Foreign    int
}

// Checkpoint is a sample that is compared with the baseline. Its goroutines, file descriptors and threads are the least
// that were seen since the one before: a rotation under way, or an idle connection, holds some for a while, a leak never
// lets go of them.
type Checkpoint struct {
	Sample
	Critical    bool               // see [Critical]
	ByContainer map[string]float64 // rotations since the start, by the container's name
}

// Growth is how much more there is than at the baseline. It is that of something, in all and per minute.
type Growth struct{ Total, PerMinute float64 }

func (c *Checkpoint) growth(base *Checkpoint, of func(*Sample) float64) Growth {
	g := Growth{Total: of(&c.Sample) - of(&base.Sample)}
	if d := c.At - base.At; d > 0 {
		g.PerMinute = g.Total / d.Minutes()
	}
	return g
}

// since gives for each container its rotations since the baseline, the least and the greatest of them.
func (c *Checkpoint) since(base *Checkpoint) (by map[string]float64, least, most float64) {
	by = map[string]float64{}
	first := true
	for name, n := range c.ByContainer {
		n -= base.ByContainer[name]
		by[name] = n
		if first {
			least, most, first = n, n, false
		}
		least, most = min(least, n), max(most, n)
	}
	return by, least, most
}

// moment is when a checkpoint is due.
type moment struct {
	at                 time.Duration
	baseline, critical bool
}

// moments are the times of the checkpoints, in order.
func (c *Config) moments() []moment {
	all := []moment{{at: c.warmUp(), baseline: true}}
	critical := false
	for i := range c.Checkpoints {
		at := c.Duration * time.Duration(i+1) / time.Duration(c.Checkpoints)
		all = append(all, moment{at: at, critical: at == Critical})
		critical = critical || at == Critical
	}
	if !critical && c.Duration > Critical {
		all = append(all, moment{at: Critical, critical: true})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return int(a.at - b.at) })
	return all
}

// period is the time between two samples: not a part of any Rotate_Interval, so that they do not meet the same rotations
// again and again.
const period = 900 * time.Millisecond

// window is how far back a checkpoint looks for the least: to the one before, and the baseline not into the start.
func (c *Config) window(baseline bool) time.Duration {
	if baseline {
		return c.warmUp() / 2
	}
	return c.Duration / time.Duration(c.Checkpoints)
}

// measure takes samples each period, and the checkpoints, until Duration is over. The error says why it ended before.
func (s *soak) measure(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	due := s.moments()
	for len(due) > 0 {
		sample, rotations, err := s.sample(ctx)
		if err != nil {
			return fmt.Errorf("after %v: %w", time.Since(s.result.Began).Round(time.Second), err)
		}
		s.result.Samples = append(s.result.Samples, sample)
		s.show.Tick(s, sample)
		for len(due) > 0 && sample.At >= due[0].at {
			cp := s.checkpoint(sample, rotations, s.window(due[0].baseline))
			cp.Critical = due[0].critical
			if due[0].baseline {
				s.result.Baseline = cp
			} else {
				s.result.Checkpoints = append(s.result.Checkpoints, cp)
			}
			s.show.Checkpoint(cp, s.result.Baseline)
			due = due[1:]
		}
		select {
		case <-tick.C:
		case <-s.agent.done:
			return fmt.Errorf("after %v: %s ended by itself: %v", time.Since(s.result.Began).Round(time.Second), s.agent.Name, s.agent.cmd.ProcessState)
		case <-ctx.Done():
			return errors.New("it was interrupted")
		}
	}
	return nil
}

// sample measures once. rotations are those of each container by its name.
func (s *soak) sample(ctx context.Context) (x Sample, rotations map[string]float64, err error) {
	x.At = time.Since(s.result.Began)
	m, err := Scrape(ctx, s.client, "http://"+s.agent.Plugin+"/metrics")
	if err != nil {
		return x, nil, err
	}
	p, err := Inspect(s.agent.cmd.Process.Pid)
	if err != nil {
		return x, nil, err
	}
	x.FDs, x.Threads, x.RSS = p.FDs, p.Threads, p.RSS
	x.Goroutines = m.Max("log_capturer_goroutines") // of the process: each input tells the same
	x.Streams = m.Sum("log_capturer_streams")
	x.Rotations = m.Sum("log_capturer_stream_rotations_total")
	if n := m.Sum("log_capturer_container_stream_age_seconds_count"); n > 0 {
		x.StreamAge = m.Sum("log_capturer_container_stream_age_seconds_sum") / n
	}
	x.Heartbeat = m.Max("log_capturer_task_heartbeat_age_seconds")
	x.Lag = m.Max("log_capturer_lag_seconds")
	x.Stalls = m.Sum("log_capturer_stream_stalls_total") + m.Sum("log_capturer_task_stalls_total") + m.Sum("log_capturer_tasks_leaked")
	x.Gaps = m.Sum("log_capturer_gaps_total")
	x.Restarts = m.Sum("log_capturer_task_restarts_total")
	x.Panics = m.Sum("log_capturer_panics_total")
	x.Read = m.Sum("log_capturer_lines_total")
	x.Count, x.Foreign = s.tally.total(nil)
	return x, m.By("log_capturer_container_stream_age_seconds_count", "container_name"), nil
}

// checkpoint is the sample x with the least of those within the window before it.
func (s *soak) checkpoint(x Sample, rotations map[string]float64, window time.Duration) *Checkpoint {
	c := &Checkpoint{Sample: x, ByContainer: map[string]float64{}}
	for _, name := range s.result.Names {
		c.ByContainer[name] = rotations[name] // one without any has no series
	}
	for _, y := range s.result.Samples {
		if y.At < x.At-window {
			continue
		}
		c.Goroutines, c.FDs, c.Threads = min(c.Goroutines, y.Goroutines), min(c.FDs, y.FDs), min(c.Threads, y.Threads)
	}
	return c
}
