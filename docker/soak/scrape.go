package soak

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// point is one series of a scrape. A histogram or a summary is two of them, NAME_count and NAME_sum.
type point struct {
	name   string
	labels map[string]string
	value  float64
}

// Scraped is what an endpoint answered.
type Scraped []point

// Scrape asks a metrics endpoint.
func Scrape(ctx context.Context, c *http.Client, url string) (Scraped, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return parse(resp.Body)
}

// parse reads Prometheus' text format.
func parse(r io.Reader) (Scraped, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(r)
	if err != nil {
		return nil, err
	}
	var all Scraped
	for name, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if h := m.GetHistogram(); h != nil {
				all = append(all, point{name + "_count", labels, float64(h.GetSampleCount())}, point{name + "_sum", labels, h.GetSampleSum()})
				continue
			}
			if y := m.GetSummary(); y != nil {
				all = append(all, point{name + "_count", labels, float64(y.GetSampleCount())}, point{name + "_sum", labels, y.GetSampleSum()})
				continue
			}
			all = append(all, point{name, labels, m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()})
		}
	}
	return all, nil
}

// each gives the values of a metric.
func (s Scraped) each(name string) (points []point) {
	for _, p := range s {
		if p.name == name {
			points = append(points, p)
		}
	}
	return points
}

// Sum adds up a metric's series. It is 0 where there is none.
func (s Scraped) Sum(name string) (v float64) {
	for _, p := range s.each(name) {
		v += p.value
	}
	return v
}

// Max is the greatest of a metric's series.
func (s Scraped) Max(name string) (v float64) {
	for _, p := range s.each(name) {
		v = max(v, p.value)
	}
	return v
}

// By adds up a metric's series by the value of a label.
func (s Scraped) By(name, label string) map[string]float64 {
	m := map[string]float64{}
	for _, p := range s.each(name) {
		m[p.labels[label]] += p.value
	}
	return m
}

// Process is what the kernel says of a process. That is open file descriptors, threads, bytes in memory and the most
// of them, seconds of CPU.
type Process struct{ FDs, Threads, RSS, Peak, CPU float64 }

// Inspect asks the kernel about a process.
func Inspect(pid int) (p Process, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return p, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return p, err
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return p, err
	}
	p.FDs, p.CPU = float64(len(fds)), cpu(string(stat))
	for line := range strings.Lines(string(status)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		n, _ := strconv.ParseFloat(words[1], 64)
		switch words[0] {
		case "Threads:":
			p.Threads = n
		case "VmRSS:":
			p.RSS = n * 1024
		case "VmHWM:":
			p.Peak = n * 1024
		}
	}
	return p, nil
}

// tick is the kernel's unit of CPU time for programs.
const tick = 0.01

// cpu is a process's CPU time so far, of user and system, by its stat.
func cpu(stat string) float64 {
	words := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // what is before may be anything
	if len(words) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(words[11], 64)
	system, _ := strconv.ParseFloat(words[12], 64)
	return (user + system) * tick
}
