package prometheus

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/debian"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// promtool runs it in this directory, and skips the test by name where it cannot be had.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := debian.Program(t.Context(), "promtool", Package)
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestConfigs: Prometheus accepts the rules, and the configuration of a run.
func TestConfigs(t *testing.T) {
	promtool(t, "check", "rules", "alerts.yml")
	for name, c := range map[string]Config{
		"with Fluent Bit":    {Plugin: "127.0.0.1:1", FluentBit: "127.0.0.1:2", Interval: 250e6, Hurry: true},
		"without Fluent Bit": {Plugin: "127.0.0.1:1", Interval: 1e9},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := c.write(dir); err != nil {
				t.Fatal(err)
			}
			promtool(t, "check", "config", filepath.Join(dir, "prometheus.yml"))
			b, err := os.ReadFile(filepath.Join(dir, "prometheus.yml"))
			if text := string(b); err != nil || strings.Contains(text, "2020\"") || !strings.Contains(text, c.Plugin) {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// TestRules: each alert fires on the series that its fault makes, and is quiet without.
func TestRules(t *testing.T) { promtool(t, "test", "rules", "alerts_test.yml") }

// TestRulesAreTestedAndExplained: there is no alert without a case in alerts_test.yml and a row in docker/TROUBLESHOOTING.md.
func TestRulesAreTestedAndExplained(t *testing.T) {
	cases, err := os.ReadFile("alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../TROUBLESHOOTING.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(alertRules, -1)
	if len(alerts) == 0 {
		t.Fatal("no alert was found at all")
	}
	for _, m := range alerts {
		if !regexp.MustCompile(`alertname(="|: )` + m[1] + `\b`).Match(cases) {
			t.Errorf("alerts_test.yml has no case of %s", m[1])
		}
		if !strings.Contains(string(document), "| `"+m[1]+"` |") {
			t.Errorf("docker/TROUBLESHOOTING.md does not say what %s means", m[1])
		}
	}
}
