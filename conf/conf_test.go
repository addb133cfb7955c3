// Package conf_test holds the example configurations true: each key exists, each value is allowed, both formats say the
// same, Fluent Bit accepts them, and what they say about records is what comes out.
package conf_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	switchedOff = regexp.MustCompile(`(?m)^( +)#(\w)`)
	inputName   = regexp.MustCompile(`(?mi)^( +)(- )?(name:?) +docker_logs$`)
)

// switchOn returns an example's text with everything on that can be switched on.
func switchOn(text string) string { return switchedOff.ReplaceAllString(text, "$1$2") }

// withEngine returns an edit that makes an example read from the Engine at host, everything from the beginning.
func withEngine(host string) func(string) string {
	return func(text string) string {
		return inputName.ReplaceAllStringFunc(text, func(line string) string {
			indent := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " -")))
			colon := ""
			if strings.Contains(line, ":") {
				colon = ":"
			}
			return fmt.Sprintf("%s\n%sdocker_host%s %s\n%[2]sstart_from%[3]s beginning", line, indent, colon, host)
		})
	}
}

// TestDryRun: Fluent Bit accepts the examples as they are and with everything switched on, and refuses a key that is wrong.
func TestDryRun(t *testing.T) {
	fluentBit := lookFluentBit(t)
	for file, example := range examples(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			requirePlugins(t, fluentBit, plugins(example)...)
			dryRun := func(edit func(string) string) (said string, ok bool) {
				cmd := exec.CommandContext(t.Context(), fluentBit, "--dry-run", "-c", install(t, file, edit))
				cmd.Env = environment()
				out, err := cmd.CombinedOutput()
				return string(out), err == nil
			}
			if said, ok := dryRun(nil); !ok {
				t.Errorf("refused:\n%s", said)
			}
			if said, ok := dryRun(switchOn); !ok {
				t.Errorf("with everything switched on, refused:\n%s", said)
			}
			for _, key := range []string{"db", "json_date_key", "drop_single_key", "topic_key", "key_name", "multiline", "rule", "generate_id", "logs_body_key",
				"require_ack_response", "splunk_token", "store_dir"} {
				wrong := regexp.MustCompile(`(?mi)^( +)` + key + `( |:)`)
				if !wrong.MatchString(read(t, file)) {
					continue
				}
				said, ok := dryRun(func(s string) string { return wrong.ReplaceAllString(s, "${1}no_such_key$2") })
				if ok || !strings.Contains(said, "no_such_key") {
					t.Errorf("a wrong key instead of %s is not refused:\n%s", key, said)
				}
			}
		})
	}
}

// TestStart: Fluent Bit starts with each example, and nothing is refused only then, as Kafka's client does.
func TestStart(t *testing.T) {
	fluentBit := lookFluentBit(t)
	engine := dockertest.Start(t)
	started := func(t *testing.T, file string, edit func(string) string) (said string) {
		a := start(t, fluentBit, install(t, file, func(s string) string { return edit(withEngine(engine.Host())(s)) }))
		a.await("the plugin's connection to the Engine", func(_, log string) bool {
			return strings.Contains(log, "connected to the Engine")
		})
		_, log := a.text()
		for line := range strings.Lines(log) {
			// That nobody answers as Kafka is said at any time.
			if strings.Contains(line, "[error]") && !strings.Contains(line, "fluent-bit#producer") {
				said += line
			}
		}
		return said
	}
	for file, example := range examples(t) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			requirePlugins(t, fluentBit, plugins(example)...)
			if said := started(t, file, func(s string) string { return s }); said != "" {
				t.Errorf("it says:\n%s", said)
			}
		})
	}
	t.Run("a wrong key of Kafka's client", func(t *testing.T) {
		requirePlugins(t, fluentBit, "output kafka")
		said := started(t, "kafka.yaml", func(s string) string { return strings.ReplaceAll(s, "rdkafka.acks", "rdkafka.no_such_key") })
		if !strings.Contains(said, "no_such_key") {
			t.Errorf("nothing is said of it: %q", said)
		}
	})
}
