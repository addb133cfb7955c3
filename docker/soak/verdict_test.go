package soak

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// good is the result of a run in which nothing went wrong.
func good() *Result {
	c := Config{Containers: 2}
	c.setDefaults()
	r := &Result{
		Config: c, Engine: "an Engine", Agent: "an agent", Began: time.Unix(1e9, 0), Written: 200_000, Alerts: map[string]bool{},
		Names:     map[string]string{"a": "run-follow-0", "b": "run-file-1"},
		PerStream: map[Key]Count{{"a", "stdout"}: {Lines: 10}, {"b", "stdout"}: {Lines: 12}},
		Final:     Count{Lines: 200_000},
	}
	for at := time.Duration(0); at <= c.Duration; at += 30 * time.Second {
		n := at.Seconds() / 30
		r.Samples = append(r.Samples, Sample{At: at, Goroutines: 50, FDs: 40, Threads: 12, RSS: 4e7, Rotations: 2 * n})
		cp := &Checkpoint{Sample: r.Samples[len(r.Samples)-1], ByContainer: map[string]float64{"run-follow-0": n, "run-file-1": n}}
		switch {
		case at == c.warmUp():
			r.Baseline = cp
		case at == Critical:
			cp.Critical = true
			fallthrough
		case at > 0 && at%(2*time.Minute) == 0:
			r.Checkpoints = append(r.Checkpoints, cp)
		}
	}
	return r
}

// TestVerdict: each fault alone fails the run, by the criterion that it is about, and in both reports.
func TestVerdict(t *testing.T) {
	last := func(r *Result) *Checkpoint { return r.Checkpoints[len(r.Checkpoints)-1] }
	for criterion, spoil := range map[string]func(*Result){
		"":                                    func(*Result) {},
		"Ran its time and ended in order":     func(r *Result) { r.Trouble = []string{"it was <killed>"} },
		"Timeouts: stalled streams and tasks": func(r *Result) { last(r).Stalls = 1 },
		"Growth of goroutines":                func(r *Result) { last(r).Goroutines++ },
		"Growth of file descriptors":          func(r *Result) { last(r).FDs++ },
		"Rotations of each container":         func(r *Result) { last(r).ByContainer["run-file-1"] -= 2 },
		"Lines written":                       func(r *Result) { r.Written /= 2 },
		"Missing lines":                       func(r *Result) { r.Final.Missing = 1 },
		"Doubled lines":                       func(r *Result) { r.Final.Doubled = 1 },
		"Lines out of order, or of nobody":    func(r *Result) { r.Foreign = 1 },
		"Gaps, panics and restarts of tasks":  func(r *Result) { last(r).Gaps = 1 },
		"Alerts":                              func(r *Result) { r.Alerts["DockerLogsLag"] = true },
	} {
		t.Run(criterion, func(t *testing.T) {
			r := good()
			spoil(r)
			failed := ""
			for _, c := range r.Verdict() {
				if !c.OK {
					failed += c.Name
				}
			}
			if failed != criterion || r.Passed() != (criterion == "") {
				t.Errorf("failed: %q, passed: %v", failed, r.Passed())
			}
			for _, text := range written(t, r) {
				if says := strings.Contains(strings.ToLower(text), "failed"); says == r.Passed() {
					t.Errorf("a run that passed: %v, but its report says %v:\n%s", r.Passed(), says, text)
				}
			}
		})
	}
}

// TestUnfinished: a run that ended before its baseline has failed, and its report can be written.
func TestUnfinished(t *testing.T) {
	r := good()
	r.Baseline, r.Checkpoints, r.Samples, r.Trouble = nil, nil, nil, []string{"interrupted"}
	if r.Passed() {
		t.Error("passed")
	}
	written(t, r)
	r.Trouble = nil
	if r.Passed() {
		t.Error("passed without a checkpoint")
	}
}

// written writes the report, and makes sure that the page is well-formed and stands alone.
func written(t *testing.T, r *Result) (texts []string) {
	t.Helper()
	dir := t.TempDir()
	paths, err := r.Write(dir)
	if err != nil || len(paths) != 2 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	standsAlone(t, filepath.Join(dir, "report.html"))
	return texts
}

var outside = regexp.MustCompile(`(?i)(src|href)\s*=|@import|url\(|https?://`)

func standsAlone(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := outside.Find(b); m != nil {
		t.Errorf("%s refers to something outside: %s", path, m)
	}
	d := xml.NewDecoder(strings.NewReader(string(b)))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
	}
}
