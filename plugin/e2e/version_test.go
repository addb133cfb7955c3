package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
)

// TestVersion: the list of options, the first line of the log, /readyz and a metric name the same version.
func TestVersion(t *testing.T) {
	eachAgent(t, func(t *testing.T, a agent) {
		e := dockertest.Start(t)
		listen := freeAddress(t)
		p := start(t, a, setup{inputs: []options{{"Docker_Host": e.Host(), "Metrics_Listen": listen}}})
		var ready struct{ Version string }
		await(t, "an answer of /readyz", func() bool {
			_, body := get(t, "http://"+listen+"/readyz")
			return json.Unmarshal([]byte(body), &ready) == nil
		})
		if ready.Version == "" {
			t.Fatal("/readyz names no version")
		}
		_, metrics := get(t, "http://"+listen+"/metrics")
		if !regexp.MustCompile(`(?m)^log_capturer_build_info\{goversion="go\S+",instance="\S+",version="` + regexp.QuoteMeta(ready.Version) + `"\} 1$`).MatchString(metrics) {
			t.Errorf("the metric does not name version %s:\n%s", ready.Version, metrics)
		}
		p.stop()
		var ours []string
		for _, line := range p.lines {
			if strings.Contains(line, "input:docker_logs:") && !strings.Contains(line, "initializing") && !strings.Contains(line, "storage_strategy") {
				ours = append(ours, line)
			}
		}
		if len(ours) == 0 || !strings.HasSuffix(ours[0], "docker_logs version="+ready.Version) {
			t.Errorf("the first line does not name version %s:\n%s", ready.Version, strings.Join(ours, "\n"))
		}
		out, err := a.help().CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if bin, ok := a.(fluentBit); ok && !bin.version.since(5, 1, 1) {
			return
		}
		if !strings.Contains(string(out), "Docker Engine, version "+ready.Version+"\n") {
			t.Errorf("-h does not name version %s:\n%s", ready.Version, out)
		}
	})
}
