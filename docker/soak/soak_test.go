package soak

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// build builds the plugin, so that a plain `go test` never runs against an old one.
func build() error {
	root, err := enginetest.Root()
	if err != nil {
		return err
	}
	make := exec.Command("make", "--silent", "--no-print-directory", "-C", root, "build")
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); name != "MAKEFLAGS" && name != "MFLAGS" && name != "MAKELEVEL" {
			make.Env = append(make.Env, kv)
		}
	}
	if out, err := make.CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, out)
	}
	return nil
}

// TestMinute is the soak of `make soak`, for SOAK_DURATION (a minute), with rotations every SOAK_ROTATE (2s), and in the
// same run the proof of the dashboard: each of its queries returns data. SOAK_OUT keeps the report.
func TestMinute(t *testing.T) {
	c := Config{Duration: duration(t, "SOAK_DURATION", time.Minute), Rotate: duration(t, "SOAK_ROTATE", 2*time.Second), Checkpoints: 4}
	r, err := Run(t.Context(), c, NewProgress(t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Verdict() {
		if !c.OK {
			t.Errorf("%s: %s; allowed: %s", c.Name, c.Got, c.Limit)
		}
	}
	t.Logf("%s on %s: %d lines", r.Agent, r.Engine, r.Written)
	out := os.Getenv("SOAK_OUT")
	if out == "" {
		out = t.TempDir()
	}
	if _, err := r.Write(out); err != nil {
		t.Fatal(err)
	}
	standsAlone(t, filepath.Join(out, "report.html"))
	t.Run("dashboard", func(t *testing.T) { testDashboard(t, r, out) })
}

func testDashboard(t *testing.T, r *Result, out string) {
	if r.Dashboard == nil {
		t.Skip("there is no Prometheus here, so the dashboard was not tried")
	}
	queries, counted := 0, 0
	for _, p := range r.Dashboard {
		for _, res := range p.Results {
			queries++
			if strings.Contains(res.Expr, "fluentbit_") && strings.HasPrefix(r.Agent, "flbhost") {
				t.Logf("not tried without Fluent Bit: %s", res.Expr)
				continue
			}
			if !res.Answered() {
				t.Errorf("panel %s: no data for %s", p.Title, res.Query)
				continue
			}
			// Fluent Bit's own endpoint shows the same: nothing may be counted twice.
			if rate := float64(r.Written) / r.Config.Duration.Seconds(); p.Title == "Lines a second" {
				counted++
				if shown := res.Series[0].Y[0]; shown > 1.4*rate || shown < 0.4*rate {
					t.Errorf("panel %s shows %.0f where %.0f were written", p.Title, shown, rate)
				}
			}
		}
	}
	if queries == 0 || counted == 0 {
		t.Error("the dashboard asks nothing, or not how many lines there are")
	}
	standsAlone(t, filepath.Join(out, "dashboard.html"))
}

func duration(t *testing.T, env string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return d
}

// TestKilled: a run whose agent dies on the way has failed, and what was written since is missing.
func TestKilled(t *testing.T) {
	c := Config{Duration: 10 * time.Second, Containers: 2, Checkpoints: 5, Fake: true}
	c.setDefaults()
	s := &soak{Config: c, show: NewProgress(t.Output()), dir: t.TempDir(), client: &http.Client{}, result: &Result{Config: c}}
	defer s.client.CloseIdleConnections()
	if err := s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.clear(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.agent.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err := s.measure(context.Background())
	if err == nil {
		t.Fatal("it was measured to the end")
	}
	s.trouble(err)
	ctr := s.producer.(*fakeProducer).ctrs[0]
	for n := ctr.Records(); ctr.Records() < n+10; { // the containers go on writing
		time.Sleep(10 * time.Millisecond)
	}
	s.finish(t.Context())
	if s.result.Passed() || s.result.Final.Missing == 0 || s.result.AgentSaid == "" {
		t.Errorf("passed: %v, %d missing, last words: %q", s.result.Passed(), s.result.Final.Missing, s.result.AgentSaid)
	}
}
