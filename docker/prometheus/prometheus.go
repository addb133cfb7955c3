// Package prometheus runs a real Prometheus. It has the scrape jobs and alert rules beside it: for the soak test, and
// to prove the alert rules and the dashboard's queries.
package prometheus

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/enginetest"
)

// Package is Debian's package of prometheus and promtool.
const Package = "prometheus"

//go:embed scrape.yml
var scrapeConfig string

//go:embed alerts.yml
var alertRules string

// Config says what of the configuration is changed for a run.
type Config struct {
	Plugin    string        // host:port of the plugin's Metrics_Listen
	FluentBit string        // host:port of Fluent Bit's HTTP_Server; empty: there is none
	Interval  time.Duration // between scrapes and evaluations
	Hurry     bool          // the minutes of "for" in the rules count as seconds
}

// Server is a Prometheus that runs.
type Server struct {
	v1.API
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and its output was read
}

// Start starts a Prometheus, and returns when it answers. Its data and configuration are in dir. The error wraps
// [debian.ErrAbsent] where none can be had. The caller stops it.
func Start(ctx context.Context, dir string, c Config) (*Server, error) {
	path, err := debian.Program(ctx, "prometheus", Package)
	if err != nil {
		return nil, err
	}
	if err := c.write(dir); err != nil {
		return nil, err
	}
	addr, err := enginetest.FreeAddr()
	if err != nil {
		return nil, err
	}
	s := &Server{done: make(chan struct{}), cmd: exec.Command(path,
		"--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the caller, who stops it
	client, err := api.NewClient(api.Config{Address: "http://" + addr})
	if err != nil {
		return nil, err
	}
	s.API = v1.NewAPI(client)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	answer := sync.OnceFunc(func() { close(ready) })
	var said []string // read after done only
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), "Server is ready to receive web requests") {
				answer()
			}
			said = append(said[max(0, len(said)-20):], lines.Text())
		}
		_ = s.cmd.Wait()
	}()
	select {
	case <-ready:
		return s, nil
	case <-s.done:
		return nil, fmt.Errorf("prometheus ended: %v\n%s", s.cmd.ProcessState, strings.Join(said, "\n"))
	case <-ctx.Done():
		s.Stop()
		return nil, fmt.Errorf("prometheus does not start: %w", ctx.Err())
	}
}

// Stop ends it.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}

// Fired returns the names of alerts that fired within the past d.
func (s *Server) Fired(ctx context.Context, d time.Duration) (map[string]bool, error) {
	query := fmt.Sprintf(`max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[%dms]))`, d.Milliseconds())
	v, _, _, err := s.Query(ctx, query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("query of the alerts: %w", err)
	}
	fired := map[string]bool{}
	samples, _ := v.(model.Vector)
	for _, x := range samples {
		fired[string(x.Metric["alertname"])] = true
	}
	return fired, nil
}

var minutes = regexp.MustCompile(`(?m)^(\s*for: \d+)m$`)

// write puts the changed configuration into dir.
func (c Config) write(dir string) error {
	interval := c.Interval.Milliseconds()
	conf := fmt.Sprintf("global: {scrape_interval: %dms, evaluation_interval: %dms}\nrule_files: [alerts.yml]\n", interval, interval) + scrapeConfig
	fluentBit := `"` + c.FluentBit + `"`
	if c.FluentBit == "" {
		fluentBit = "" // no target
	}
	conf = strings.NewReplacer("127.0.0.1:8001", c.Plugin, `"127.0.0.1:2020"`, fluentBit).Replace(conf)
	rules := alertRules
	if c.Hurry {
		rules = minutes.ReplaceAllString(rules, "${1}s")
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o600),
		os.WriteFile(filepath.Join(dir, "alerts.yml"), []byte(rules), 0o600))
}
