package capture_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/testkit"
	"fluent-bit-docker-logs/docker/enginetest"
)

// What real programs print, on both std streams at a time, through a real
// Engine and every reader, with agents that come and go in the middle of it.
func TestEngineTraces(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		for _, reader := range []string{readerFollow, readerPoll, readerFile} {
			t.Run(reader, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				must(t, os.Chmod(dir, 0o755))
				var script strings.Builder
				want := map[string][]string{}
				const rounds = 4
				for range rounds {
					for std, name := range map[string]string{"stdout": "java", "stderr": "python"} {
						want[std] = append(want[std], testkit.Traces[name]...)
					}
					java, python := testkit.LinesOf(testkit.Traces["java"]), testkit.LinesOf(testkit.Traces["python"])
					for i := range max(len(java), len(python)) {
						for std, lines := range map[string][]string{"stdout": java, "stderr": python} {
							if i < len(lines) {
								fmt.Fprintf(&script, "%s:%s\n", std, base64.StdEncoding.EncodeToString([]byte(lines[i]+"\n")))
							}
						}
						script.WriteString("sleep:20ms\n")
					}
				}
				must(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script.String()), 0o644))
				opts := dbOptions(t, map[string]string{"Reader": reader, "Multiline": "java", "Rotate_Interval": "1s"})
				tune := func(c *capture.Config) { c.PollMin, c.PollMax = 20*time.Millisecond, 50*time.Millisecond }
				c := e.New(t, enginetest.Options{Args: []string{"-script", "/in/script"}, Binds: []string{dir + ":/in:ro"},
					Labels: map[string]string{container.MultilineLabel: "java,python"}})
				opts["Include"] = "id=" + c.ID
				have := map[string][]string{}
				for i := range rounds {
					a := startAgent(t, e.Host, opts, tune)
					a.connected()
					if i == 0 {
						c.Start()
					}
					a.waitRecords(7)
					if i == rounds-1 {
						a.waitTexts(c.ID, "stdout", len(want["stdout"])-len(have["stdout"]))
						a.waitTexts(c.ID, "stderr", len(want["stderr"])-len(have["stderr"]))
					}
					a.stop()
					for std := range want {
						have[std] = append(have[std], a.texts(c.ID, std)...)
					}
				}
				for std := range want {
					checkSequence(t, std, want[std], have[std])
				}
			})
		}
	})
}
