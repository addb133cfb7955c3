package capture_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

// What Log_Attrs works out is what a real Engine stores with each line.
func TestEngineLogAttrs(t *testing.T) {
	onEngines(t, func(t *testing.T, e *enginetest.Engine) {
		c := e.New(t, enginetest.Options{Args: []string{"-lines", "1"},
			Labels: map[string]string{"team": "blue", "app.tier": "front", "other": "x", "stage": "label"},
			Env:    []string{"REGION=eu=1", "stage=env", "SECRET=no"},
			LogOpts: map[string]string{"labels": "team,none,stage", "labels-regex": "^app", "env": "REGION,stage", "env-regex": "^NO",
				"tag": "{{.ImageName}} {{.Name}} {{.ID}} {{.FullID}} {{.ImageFullID}} {{.ContainerName}} {{.DaemonName}}"}})
		a := startAgent(t, e.Host, map[string]string{"Include": "id=" + c.ID, "Log_Attrs": "on", "Label_Keys": "dotted"})
		a.connected()
		c.Start()
		have := map[string]string{}
		for key, v := range a.waitRecords(1)[0].Fields {
			if name, ok := strings.CutPrefix(key, "attr."); ok {
				have[name] = v
			}
		}
		r, err := e.ContainerInspect(t.Context(), c.ID)
		must(t, err)
		b, err := os.ReadFile(r.LogPath)
		must(t, err)
		var record struct{ Attrs map[string]string }
		must(t, json.Unmarshal([]byte(strings.SplitAfter(string(b), "\n")[0]), &record))
		if len(record.Attrs) == 0 || !maps.Equal(have, record.Attrs) {
			t.Errorf("have %v\nthe Engine stored %v", have, record.Attrs)
		}
	})
}
