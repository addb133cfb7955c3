package prometheus

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"fluent-bit-docker-logs/docker/debian"
)

// there is what a machine has whose Prometheus and Grafana run already.
var there = map[string]string{
	"etc/prometheus/their_rules.yml":                       "groups: []\n",
	"etc/prometheus/alerts.yml":                            "groups: []\n",
	"etc/grafana/provisioning/datasources/prometheus.yaml": "apiVersion: 1\ndatasources:\n  - {name: Prometheus, uid: prometheus, type: prometheus, url: 'http://127.0.0.1:9090', isDefault: true}\n",
	"etc/grafana/provisioning/dashboards/provider.yaml":    "apiVersion: 1\nproviders:\n  - {name: theirs, type: file, options: {path: /etc/grafana/provisioning/dashboards}}\n",
	"etc/grafana/provisioning/dashboards/their.json":       "{}\n",
}

// monitoring returns what docker/README.md prints in its section Monitoring, in order: blocks of commands, and of YAML.
func monitoring(t *testing.T) (commands, snippets []string) {
	t.Helper()
	document, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## Monitoring\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?s)\n```(\\w*)\n(.*?)```").FindAllStringSubmatch(section, -1) {
		if m[1] == "yaml" {
			snippets = append(snippets, m[2])
		} else {
			commands = append(commands, m[2])
		}
	}
	if len(commands) != 3 || len(snippets) != 1 {
		t.Fatalf("docker/README.md prints %d blocks of commands and %d of YAML in Monitoring: has its test been thought of?", len(commands), len(snippets))
	}
	return commands, snippets
}

// machine makes one with what is there, and runs the commands in it: its /etc is a directory of the test.
func machine(t *testing.T) (root string, run func(commands string)) {
	t.Helper()
	theirs, err := os.ReadFile("testdata/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range there {
		put(name, text)
	}
	put("etc/prometheus/prometheus.yml", string(theirs))
	return root, func(commands string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(commands, " /etc/", " "+root+"/etc/"))
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", commands, err, out)
		}
	}
}

// parsed reads a YAML file of the machine.
func parsed(t *testing.T, path string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := yaml.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return m
}

// jobs names the scrape jobs of a configuration.
func jobs(t *testing.T, path string) (names []string) {
	t.Helper()
	list, _ := parsed(t, path)["scrape_configs"].([]any)
	for _, j := range list {
		names = append(names, j.(map[string]any)["job_name"].(string))
	}
	return names
}

// TestInstallAdds: the commands that docker/README.md prints leave a Prometheus and a Grafana that are there as they were.
func TestInstallAdds(t *testing.T) {
	commands, _ := monitoring(t)
	root, run := machine(t)
	before := parsed(t, filepath.Join(root, "etc/prometheus/prometheus.yml"))
	run(commands[0])
	run(commands[2])
	run(commands[0]) // an update, which overwrites what is ours
	for name, text := range there {
		if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != text {
			t.Errorf("%s is another: %v\n%s", name, err, b)
		}
	}
	if after := parsed(t, filepath.Join(root, "etc/prometheus/prometheus.yml")); len(after) != len(before) {
		t.Errorf("prometheus.yml has the keys %v", after)
	}

	defaults, names := 0, map[string]bool{}
	for _, source := range provisioned(t, root, "datasources") {
		if source["isDefault"] == true {
			defaults++
		}
		for _, key := range []string{"name", "uid"} {
			if id := key + " " + source[key].(string); names[id] {
				t.Errorf("two data sources have the %s", id)
			} else {
				names[id] = true
			}
		}
	}
	if defaults != 1 || len(names) != 4 {
		t.Errorf("%d data sources are the default; %v", defaults, names)
	}

	shown := map[string]bool{} // each dashboard by one provider
	for _, provider := range provisioned(t, root, "dashboards") {
		path := provider["options"].(map[string]any)["path"].(string)
		if err := filepath.WalkDir(filepath.Join(root, path), func(name string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(name) == ".json" && shown[name] {
				t.Errorf("%s is shown by two providers", name)
			}
			shown[name] = true
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"docker_logs.json", "logs.json"} {
		if !shown[filepath.Join(root, "etc/grafana/dashboards/docker_logs", name)] {
			t.Errorf("no provider shows %s", name)
		}
	}
}

// provisioned returns what Grafana finds of that kind: data sources, or providers of dashboards.
func provisioned(t *testing.T, root, kind string) (all []map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "etc/grafana/provisioning", kind, "*.yaml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v: %v", files, err)
	}
	key := map[string]string{"datasources": "datasources", "dashboards": "providers"}[kind]
	for _, f := range files {
		for _, x := range parsed(t, f)[key].([]any) {
			all = append(all, x.(map[string]any))
		}
	}
	return all
}

// TestInstalledIsRead: a Prometheus that is there takes the jobs and the alerts in both ways that docker/README.md names, beside its own.
func TestInstalledIsRead(t *testing.T) {
	promtool, err := debian.Program(t.Context(), "promtool", Package)
	if err != nil {
		t.Skip(err)
	}
	commands, snippets := monitoring(t)
	rules, files, _ := strings.Cut(snippets[0], "scrape_config_files:")
	ours := strings.TrimSpace(strings.TrimPrefix(rules, "rule_files:"))
	check := func(t *testing.T, config string, says ...string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), promtool, "check", "config", config).CombinedOutput()
		for _, s := range says {
			if err != nil || !strings.Contains(string(out), s) {
				t.Errorf("promtool says nothing of %q: %v\n%s", s, err, out)
			}
		}
	}
	// begun is a machine with the files in place, and the rules named below those that its operator has.
	begun := func(t *testing.T) (config string, run func(string)) {
		root, run := machine(t)
		run(commands[0])
		config = filepath.Join(root, "etc/prometheus/prometheus.yml")
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		added := strings.Replace(string(text), "rule_files:\n", "rule_files:\n  "+ours+"\n", 1)
		if err := os.WriteFile(config, []byte(added), 0o600); err != nil || added == string(text) {
			t.Fatal(err, added)
		}
		return config, run
	}
	t.Run("the jobs at the end", func(t *testing.T) {
		config, run := begun(t)
		run(commands[1]) // promtool checks it
		check(t, config, "2 rule files found", "docker_logs_alerts.yml", "SUCCESS")
		if got := strings.Join(jobs(t, config), " "); got != "prometheus node docker_logs fluent_bit" {
			t.Errorf("the jobs are %s", got)
		}
	})
	t.Run("a file of jobs", func(t *testing.T) {
		config, _ := begun(t)
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, []byte(string(text)+"scrape_config_files:"+files), 0o600); err != nil {
			t.Fatal(err)
		}
		list, _ := parsed(t, config)["scrape_config_files"].([]any)
		if len(list) != 1 {
			t.Fatalf("the files are %v", list)
		}
		jobFile := filepath.Join(filepath.Dir(config), list[0].(string))
		if got := strings.Join(jobs(t, jobFile), " "); got != "docker_logs fluent_bit" || len(parsed(t, jobFile)) != 1 {
			t.Errorf("the jobs are %s; a file of jobs has no other key", got)
		}
		out, err := exec.CommandContext(t.Context(), promtool, "check", "config", config).CombinedOutput()
		if err != nil && strings.Contains(string(out), "field scrape_config_files not found") {
			t.Logf("this promtool is older than 2.43 and knows no scrape_config_files: the file was read, but not by Prometheus")
			return
		}
		check(t, config, "2 rule files found", "SUCCESS")
	})
}
