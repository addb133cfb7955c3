// Package soak is the validation. It lets containers write numbered lines for a while, has them captured, and watches
// what leaks, stalls or goes missing.
//
//	producer.go  the Engine and the containers that write
//	agent.go     Fluent Bit (or flbhost) with the plugin
//	sink.go      takes the records; tally.go checks their numbers as they come
//	scrape.go    the metrics, and what the kernel says of the process
//	sample.go    what is measured each second, and the checkpoints
//	verdict.go   the criteria
//	report.go    the result as Markdown and as a page; progress.go in the terminal
package soak

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/grafana"
	"fluent-bit-docker-logs/docker/prometheus"
)

// Config says what to run. The zero value of a field is its default.
type Config struct {
	Duration    time.Duration // from the moment when all streams run [30m]
	Containers  int           // that write, half of them read by each of the readers follow and file [8]
	Checkpoints int           // evenly over Duration [15]
	Rotate      time.Duration // Rotate_Interval [a thirtieth of Duration, at most 30s]
	Rate        float64       // lines per second of each std stream of each container [20]
	Fake        bool          // use the fake Engine even where there is a real one
}

// Critical is a time for which a capture must have run. The system that this one grew from died by then: there is a
// checkpoint.
const Critical = 7 * time.Minute

func (c *Config) setDefaults() {
	if c.Duration == 0 {
		c.Duration = 30 * time.Minute
	}
	if c.Containers == 0 {
		c.Containers = 8
	}
	if c.Checkpoints == 0 {
		c.Checkpoints = 15
	}
	if c.Rotate == 0 {
		c.Rotate = min(30*time.Second, max(time.Second, (c.Duration/30).Truncate(time.Second)))
	}
	if c.Rate == 0 {
		c.Rate = 20
	}
}

func (c *Config) check() error {
	if c.Containers < len(readers) || c.Checkpoints < 1 || c.Duration < 10*c.Rotate || c.Rotate < time.Second || c.Rate < 0 {
		return errors.New("that is no soak: at least 2 containers, 1 checkpoint, a Rotate_Interval of 1s and a duration of ten times that")
	}
	return nil
}

// warmUp is when the baseline is taken: each stream has been rotated by then.
func (c *Config) warmUp() time.Duration {
	return max(2*c.Rotate, c.Duration/20, min(15*time.Second, c.Duration/4))
}

// Result is what a run has shown.
type Result struct {
	Config      Config
	Engine      string // which one
	Agent       string // which program ran the plugin
	Began       time.Time
	Samples     []Sample
	Baseline    *Checkpoint // nil when the run ended before
	Checkpoints []*Checkpoint
	Final       Count         // with all that the containers had written
	PerStream   map[Key]Count // the same of each std stream of each container
	Names       map[string]string
	Foreign     int             // records that no container of the run wrote
	Written     int             // lines in the Engine's logs
	Alerts      map[string]bool // that fired; nil: there was no Prometheus
	Dashboard   []grafana.Shown // the dashboard's panels over the run; nil: there was no Prometheus
	Trouble     []string        // why it did not run its time, or did not end in order
	AgentSaid   string          // its last words, where there was trouble
}

// soak is a run that goes on.
type soak struct {
	Config
	show     *Progress
	dir      string
	tally    *tally
	producer producer
	sink     *sink
	agent    *agent
	prom     *prometheus.Server // nil where there is none
	client   *http.Client
	result   *Result
}

// limit bounds what has to happen before and after the run.
const limit = time.Minute

// Run runs a soak. The error says why there is no result; a result may be a bad one. When ctx is done before Duration, the
// run is ended and judged as it is.
func Run(ctx context.Context, c Config, show *Progress) (*Result, error) {
	c.setDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &soak{Config: c, show: show, dir: dir, client: &http.Client{Timeout: 10 * time.Second}, result: &Result{Config: c}}
	defer s.client.CloseIdleConnections()
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.clear())
	}
	if err := s.measure(ctx); err != nil {
		s.trouble(err)
	}
	s.finish(context.WithoutCancel(ctx))
	if err := s.clear(); err != nil {
		s.trouble(err)
	}
	return s.result, nil
}

func (s *soak) trouble(err error) { s.result.Trouble = append(s.result.Trouble, err.Error()) }

// begin starts everything and returns once all streams run.
func (s *soak) begin(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*limit) // an Engine or a Prometheus may have to be installed
	defer cancel()
	load := load{run: fmt.Sprintf("soak%d", os.Getpid()), rate: s.Rate}
	s.tally = newTally(load.run)
	if s.producer, err = newProducer(ctx, s.dir, s.Fake, load); err != nil {
		return err
	}
	if s.sink, err = newSink(s.dir, s.tally); err != nil {
		return err
	}
	s.agent, err = startAgent(settings{dir: s.dir, out: s.sink.path, host: s.producer.host(), run: load.run, rotate: s.Rotate})
	if err != nil {
		return err
	}
	if err := s.producer.start(ctx, s.Containers); err != nil {
		return err
	}
	if err := s.awaitStreams(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, s.agent.said())
	}
	s.prom, err = prometheus.Start(ctx, s.dir, prometheus.Config{Plugin: s.agent.Plugin, FluentBit: s.agent.FluentBit, Interval: s.scrapeInterval()})
	if errors.Is(err, debian.ErrAbsent) {
		s.show.Say("no alerts and no dashboard: %v", err)
	} else if err != nil {
		return err
	}
	s.result.Engine, s.result.Agent, s.result.Names = s.producer.about(), s.agent.Name, s.producer.names()
	s.result.Began = time.Now()
	s.show.Say("%s; %s; %d containers, %g lines/s each; Rotate_Interval %v", s.agent.Name, s.result.Engine, s.Containers, 2*s.Rate, s.Rotate)
	return nil
}

// scrapeInterval is Prometheus': as in production, but for short runs.
func (s *soak) scrapeInterval() time.Duration {
	return min(15*time.Second, max(time.Second, s.Duration/120))
}

// awaitStreams waits until every container is captured.
func (s *soak) awaitStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		m, err := Scrape(ctx, s.client, "http://"+s.agent.Plugin+"/metrics")
		if err == nil && int(m.Sum("log_capturer_streams")) == s.Containers {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-s.agent.done:
			return fmt.Errorf("%s ended: %v", s.agent.Name, s.agent.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("after %v not all containers are captured: %g of %d, %w", limit, m.Sum("log_capturer_streams"), s.Containers, errors.Join(err, ctx.Err()))
		}
	}
}

// finish asks Prometheus, ends the containers, lets what they wrote arrive, and ends the agent.
func (s *soak) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*limit)
	defer cancel()
	r := s.result
	if s.prom != nil {
		if err := s.askPrometheus(ctx); err != nil {
			s.trouble(err)
		}
	}
	s.show.Say("the containers are stopped; what they wrote arrives")
	written, err := s.producer.stop(ctx)
	if err != nil {
		s.trouble(err)
	}
	for _, n := range written {
		r.Written += n
	}
	s.awaitLines(ctx, written)
	if err := s.agent.stop(ctx); err != nil {
		s.trouble(err)
	}
	if err := s.sink.finish(ctx); err != nil {
		s.trouble(err)
	}
	r.Final, r.Foreign = s.tally.total(written)
	r.PerStream = s.tally.each(written)
	if len(r.Trouble) > 0 {
		r.AgentSaid = s.agent.said()
	}
}

// awaitLines waits for the last line of every sequence; what has not come by then is missing.
func (s *soak) awaitLines(ctx context.Context, written map[Key]int) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		ok, changed := s.tally.complete(written)
		if ok {
			return
		}
		select {
		case <-changed:
		case <-s.agent.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *soak) askPrometheus(ctx context.Context) (err error) {
	now := time.Now()
	if s.result.Alerts, err = s.prom.Fired(ctx, now.Sub(s.result.Began)); err != nil {
		return err
	}
	board, err := grafana.Load()
	if err != nil {
		return err
	}
	s.result.Dashboard, err = board.Show(ctx, s.prom, grafana.Range{From: s.result.Began, To: now, Scrape: s.scrapeInterval()})
	return err
}

// clear ends whatever runs.
func (s *soak) clear() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var errs []error
	if s.prom != nil {
		s.prom.Stop()
	}
	if s.agent != nil {
		select {
		case <-s.agent.done:
		default: // it was not stopped: begin has failed
			_ = s.agent.cmd.Process.Kill()
			<-s.agent.done
		}
	}
	if s.sink != nil {
		_ = s.sink.pipe.Close()
		<-s.sink.done
	}
	if s.producer != nil {
		errs = append(errs, s.producer.remove(ctx))
	}
	return errors.Join(errs...)
}
