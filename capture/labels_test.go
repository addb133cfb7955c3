package capture_test

import (
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/dockertest"
)

// What log options ask for comes by every reader.
func TestLogAttrs(t *testing.T) {
	for _, r := range readerCases {
		t.Run(r.name, func(t *testing.T) {
			e := dockertest.Start(t)
			a := r.agent(t, e, map[string]string{"Log_Attrs": "on"})
			a.connected()
			c := r.run(t, e, dockertest.Container{Name: "web", Image: "nginx:1",
				Labels: map[string]string{"team": "blue", "app.tier": "front", "other": "x", "stage": "label"},
				Env:    []string{"REGION=eu", "stage=env", "SECRET=no", "odd"},
				LogOpts: map[string]string{"labels": "team,none,stage", "labels-regex": "^app", "env": "REGION,stage,odd", "env-regex": "^NO",
					"tag": "{{.ImageName}}/{{ .Name }}/{{.ID}} {{json .Config}}"}})
			c.Stdout("line")
			have := a.waitRecords(1)[0].Fields
			for key, want := range map[string]string{
				"attr_team": "blue", "attr_app_tier": "front", "attr_REGION": "eu", "attr_stage": "env", "attr_other": "", "attr_SECRET": "", "attr_odd": "",
				"attr_tag": "nginx:1/web/" + container.ShortID(c.ID) + " {{json .Config}}",
			} {
				if have[key] != want {
					t.Errorf("%s is %q, not %q", key, have[key], want)
				}
			}
		})
	}
}
