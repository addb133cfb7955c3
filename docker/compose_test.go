package docker_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// load reads a file with Compose's own parser, which checks it against the schema.
func load(t *testing.T, file string) *types.Project {
	t.Helper()
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  ".",
		ConfigFiles: []types.ConfigFile{{Filename: file}},
		Environment: types.Mapping{"AGENT_IMAGE": "registry.example/fluent-bit-docker-logs:1.0.0", "KAFKA_BROKERS": "kafka1:9092"},
	}, func(o *loader.Options) { o.SetProjectName("test", true) })
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return project
}

var pinned = regexp.MustCompile(`:v?\d+\.\d+\.\d+$|@sha256:`)

// TestStack: what both files promise of each service.
func TestStack(t *testing.T) {
	for file, want := range map[string][]string{
		"compose.yaml": {"fluent-bit", "grafana", "kafka", "kafka-ui", "loggen", "loki", "prometheus"},
		"stack.yaml":   {"fluent-bit"},
	} {
		project := load(t, file)
		if names := project.ServiceNames(); !slices.Equal(slices.Sorted(slices.Values(names)), want) {
			t.Errorf("%s: services %v, want %v", file, names, want)
		}
		for name, s := range project.Services {
			if s.Build == nil && !pinned.MatchString(s.Image) {
				t.Errorf("%s, %s: image %s is not pinned", file, name, s.Image)
			}
			if s.Build != nil {
				if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
					t.Errorf("%s, %s: %v", file, name, err)
				}
			}
			if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 || s.HealthCheck.Disable {
				t.Errorf("%s, %s: no health check", file, name)
			}
			if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
				t.Errorf("%s, %s: its memory has no limit", file, name)
			}
			if s.Logging == nil || s.Logging.Options["max-size"] == "" {
				t.Errorf("%s, %s: its log has no limit", file, name)
			}
			for _, p := range s.Ports {
				if p.HostIP != "127.0.0.1" {
					t.Errorf("%s, %s: port %s is open to %q", file, name, p.Published, p.HostIP)
				}
			}
			for _, v := range s.Volumes {
				ours := v.Type == types.VolumeTypeBind && !strings.HasPrefix(v.Source, "/var/")
				if _, err := os.Stat(v.Source); ours && err != nil {
					t.Errorf("%s, %s: %v", file, name, err)
				}
				if v.Type == types.VolumeTypeBind && !v.ReadOnly {
					t.Errorf("%s, %s: %s can be written", file, name, v.Source)
				}
			}
		}
	}
}

// TestAgent: the agent of both files has no right that it does not need, runs a configuration that the image has, and is
// given the time to end.
func TestAgent(t *testing.T) {
	for _, file := range []string{"compose.yaml", "stack.yaml"} {
		s := load(t, file).Services["fluent-bit"]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.CapAdd, []string{"DAC_READ_SEARCH"}) || s.Privileged {
			t.Errorf("%s: read-only %v, without %v, with %v", file, s.ReadOnly, s.CapDrop, s.CapAdd)
		}
		path := s.Command[len(s.Command)-1]
		text, err := os.ReadFile(filepath.Join("../conf", filepath.Base(path)))
		if err != nil || !strings.HasPrefix(path, "/etc/fluent-bit/") {
			t.Fatalf("%s: %s: %v", file, path, err)
		}
		if !strings.Contains(string(text), "\n  grace: 30\n") || s.StopGracePeriod == nil || s.StopGracePeriod.String() != "45s" {
			t.Errorf("%s: the end is waited for %v", file, s.StopGracePeriod)
		}
		for _, m := range regexp.MustCompile(`(?m)^ +(?:- )?[^#\n]*\$\{(\w+)\}`).FindAllStringSubmatch(string(text), -1) {
			if v := s.Environment[m[1]]; v == nil || *v == "" {
				t.Errorf("%s: %s asks for %s", file, path, m[1])
			}
		}
	}
}

// TestKafkaTakesMessages: the broker takes the largest message that the agent sends.
func TestKafkaTakesMessages(t *testing.T) {
	text, err := os.ReadFile("../conf/loki-kafka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sent := regexp.MustCompile(`rdkafka\.message\.max\.bytes: (\d+)`).FindSubmatch(text)
	taken := load(t, "compose.yaml").Services["kafka"].Environment["KAFKA_MESSAGE_MAX_BYTES"]
	if sent == nil || taken == nil || *taken != string(sent[1]) {
		t.Errorf("sent %s, taken %v", sent, taken)
	}
}

// TestLogsDashboard: it asks for labels that the configuration gives, of a data source that is provisioned.
func TestLogsDashboard(t *testing.T) {
	text, err := os.ReadFile("grafana/dashboards/logs.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string
		Panels []struct {
			Title      string
			Datasource struct{ Type string }
			Targets    []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	sources, err := os.ReadFile("compose/datasources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile("../conf/loki-kafka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 {
		t.Fatal("no panels")
	}
	for _, p := range dashboard.Panels {
		if !strings.Contains(string(sources), "type: "+p.Datasource.Type+"\n") {
			t.Errorf("%s: no data source of %s", p.Title, p.Datasource.Type)
		}
		for _, target := range p.Targets {
			for _, m := range regexp.MustCompile(`(\w+)=~?"`).FindAllStringSubmatch(target.Expr, -1) {
				if !regexp.MustCompile(`[ ,]` + m[1] + `=`).Match(conf) {
					t.Errorf("%s: %s is no label or metadata of conf/loki-kafka.yaml", p.Title, m[1])
				}
			}
		}
	}
}
