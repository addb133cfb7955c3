// Package conf_test holds the example configurations true: each key exists, each value is allowed, both formats say the
// same, and Fluent Bit accepts them.
package conf_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Where the examples expect the plugin and plugins.conf.
const (
	installed   = "/usr/local/lib/fluent-bit/in_docker_logs.so"
	pluginsFile = "/etc/fluent-bit/plugins.conf"
)

// Fluent Bit silently ignores a [SERVICE] key that it does not know, so those in use are listed here.
var serviceKeys = []string{"flush", "log_level", "daemon", "hot_reload", "plugins_file", "storage.path", "storage.sync"}

// What `fluent-bit -i docker_logs -h` lists above the plugin's options.
var inputKeys = []string{
	"alias", "log_level", "log_suppress_interval", "mem_buf_limit", "name", "rate_gate", "rate_gate.backpressure",
	"rate_gate.max_bytes", "rate_gate.max_records", "rate_gate.resume_ratio", "rate_window", "routable",
	"storage.pause_on_chunks_overlimit", "storage.type", "tag", "thread.ring_buffer.capacity", "thread.ring_buffer.window",
	"threaded",
}

// setting is one line of an example; off is one that can be switched on.
type setting struct {
	value string
	off   bool
}

// settings is an example: section (service, input, output) -> key in lower case -> setting.
type settings map[string]map[string]setting

func (s settings) add(t *testing.T, section, key string, v setting) {
	t.Helper()
	key = strings.ToLower(key)
	if s[section] == nil {
		s[section] = map[string]setting{}
	}
	if _, ok := s[section][key]; ok {
		t.Errorf("%s: %s is given twice", section, key)
	}
	s[section][key] = v
}

var classicLine = regexp.MustCompile(`^ +(#?)([A-Za-z][\w.]*) +(.+)$`)

func readClassic(t *testing.T, text string) settings {
	s, section := settings{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.ToLower(strings.TrimSuffix(name, "]"))
		} else if m := classicLine.FindStringSubmatch(line); m != nil {
			s.add(t, section, m[2], setting{m[3], m[1] != ""})
		} else if !isComment(line) {
			t.Errorf("line %q is not understood", line)
		}
	}
	return s
}

var (
	yamlSection = regexp.MustCompile(`^ *(service|plugins|pipeline|inputs|outputs):$`)
	yamlLine    = regexp.MustCompile(`^ +(?:- )?(#?)([a-z][\w.]*): (.+)$`)
)

// readYAML reads the subset of YAML that the example is written in; that it is YAML is for Fluent Bit to say.
func readYAML(t *testing.T, text string) settings {
	s, section := settings{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if m := yamlSection.FindStringSubmatch(line); m != nil {
			section = strings.TrimSuffix(m[1], "s")
		} else if m := yamlLine.FindStringSubmatch(line); m != nil {
			s.add(t, section, m[2], setting{m[3], m[1] != ""})
		} else if !isComment(line) && line != "  - "+installed {
			t.Errorf("line %q is not understood", line)
		}
	}
	return s
}

func isComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line == "#" || strings.HasPrefix(line, "# ")
}

func examples(t *testing.T) map[string]settings {
	return map[string]settings{
		"fluent-bit.conf": readClassic(t, read(t, "fluent-bit.conf")),
		"fluent-bit.yaml": readYAML(t, read(t, "fluent-bit.yaml")),
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestKeys: every key exists, and every option of the plugin is shown.
func TestKeys(t *testing.T) {
	options := map[string]bool{}
	for _, o := range capture.Options() {
		options[strings.ToLower(o.Key)] = true
	}
	for file, s := range examples(t) {
		for key := range s["service"] {
			if !slices.Contains(serviceKeys, key) {
				t.Errorf("%s: %s is no key of a service that is known here", file, key)
			}
		}
		for key := range s["input"] {
			if !options[key] && !slices.Contains(inputKeys, key) {
				t.Errorf("%s: %s is no option of the plugin and no key of a Fluent Bit input", file, key)
			}
		}
		for key := range options {
			if _, ok := s["input"][key]; !ok {
				t.Errorf("%s: option %s is not shown", file, key)
			}
		}
	}
}

// TestValues: the plugin accepts what is on, and each option that can be switched on as well.
func TestValues(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	for file, s := range examples(t) {
		on := map[string]string{}
		for key, v := range s["input"] {
			if !v.off {
				on[key] = v.value
			}
		}
		on["db"] = filepath.Join(t.TempDir(), filepath.Base(on["db"]))
		accepted := func(more map[string]string) error {
			all := maps.Clone(on)
			maps.Copy(all, more)
			_, err := capture.ParseConfig(func(key string) string { return all[strings.ToLower(key)] })
			return err
		}
		if err := accepted(nil); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		tls := map[string]string{}
		for key, v := range s["input"] {
			switch {
			case !v.off:
			case strings.HasPrefix(v.value, "/"): // a certificate: any file that exists
				tls[key] = file
			case key == "docker_host", strings.HasPrefix(key, "docker_tls_"):
				tls[key] = v.value
			default:
				if err := accepted(map[string]string{key: v.value}); err != nil {
					t.Errorf("%s, switched on: %v", file, err)
				}
			}
		}
		if err := accepted(tls); err != nil {
			t.Errorf("%s, with TLS switched on: %v", file, err)
		}
	}
}

// TestSame: the two formats differ in nothing but the way they name the plugin's file.
func TestSame(t *testing.T) {
	all := examples(t)
	classic, yaml := all["fluent-bit.conf"], all["fluent-bit.yaml"]
	delete(classic["service"], "plugins_file")
	for _, section := range []string{"service", "input", "output"} {
		for key, v := range classic[section] {
			if got := yaml[section][key]; got != v {
				t.Errorf("%s %s: %+v in fluent-bit.conf, %+v in fluent-bit.yaml", section, key, v, got)
			}
		}
		if a, b := len(classic[section]), len(yaml[section]); a != b {
			t.Errorf("%s: %d keys in fluent-bit.conf, %d in fluent-bit.yaml", section, a, b)
		}
	}
}

// TestDryRun: Fluent Bit accepts the examples as they are and with everything switched on, and refuses a key that is wrong.
func TestDryRun(t *testing.T) {
	fluentBit, err := exec.LookPath("fluent-bit")
	if err != nil {
		t.Skip("no fluent-bit on the PATH: the examples are compared with the option table only")
	}
	plugin, err := filepath.Abs("../build/in_docker_logs.so")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(plugin); err != nil {
		t.Fatalf("%v: run `make build` before", err)
	}
	// dryRun checks a file after edit, with what is here instead of what is installed.
	dryRun := func(file string, edit func(string) string) (said string, ok bool) {
		t.Helper()
		dir := t.TempDir()
		here := strings.NewReplacer(installed, plugin, pluginsFile, filepath.Join(dir, "plugins.conf"))
		for _, name := range []string{"plugins.conf", file} {
			text := here.Replace(read(t, name))
			if name == file {
				text = edit(text)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), fluentBit, "--dry-run", "-c", filepath.Join(dir, file)).CombinedOutput()
		return string(out), err == nil
	}
	switchOn := regexp.MustCompile(`(?m)^( +)#(\w)`)
	for _, file := range []string{"fluent-bit.conf", "fluent-bit.yaml"} {
		t.Run(file, func(t *testing.T) {
			if said, ok := dryRun(file, func(s string) string { return s }); !ok {
				t.Errorf("refused:\n%s", said)
			}
			if said, ok := dryRun(file, func(s string) string { return switchOn.ReplaceAllString(s, "$1$2") }); !ok {
				t.Errorf("with everything switched on, refused:\n%s", said)
			}
			for _, key := range []string{"db_sync", "json_date_key"} {
				wrong := regexp.MustCompile(fmt.Sprintf(`(?mi)^( +)#?%s\b`, key))
				said, ok := dryRun(file, func(s string) string { return wrong.ReplaceAllString(s, "${1}no_such_key") })
				if ok || !strings.Contains(said, "no_such_key") {
					t.Errorf("a wrong key instead of %s is not refused:\n%s", key, said)
				}
			}
		})
	}
}
