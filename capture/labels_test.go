package capture

import (
	"bytes"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/dockertest"
)

// fieldsWith returns what a record of a container has besides what every record
// has, and what was logged.
func fieldsWith(t *testing.T, c *container.Container, opts map[string]string) (fields map[string]string, said string) {
	t.Helper()
	var log bytes.Buffer
	s := benchStream(t)
	cfg := testConfig(t, "unix:///nowhere", opts)
	*s.col.cfg = cfg
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	c.ID = strings.Repeat("ab", 32)
	s.describe(c)
	s.describe(c) // and nothing is said twice
	rs, err := decodeRecords("", s.tmpl.Append(nil, 1, decode.Stdout, []byte("text"), false))
	must(t, err)
	fields = rs[0].Fields
	for _, key := range []string{"log", "stream", "container_id", "container_name", "image", "host"} {
		if _, ok := fields[key]; !ok {
			t.Errorf("the record lacks %s", key)
		}
		delete(fields, key)
	}
	// A record cut has the same and a flag.
	rs, err = decodeRecords("", s.tmpl.Append(nil, 1, decode.Stdout, []byte("text"), true))
	must(t, err)
	if rs[0].Fields["partial"] != "true" {
		t.Error("the flag is missing")
	}
	return fields, log.String()
}

// Each form of the keys of labels and attrs, and what labels with one key do.
func TestLabelKeys(t *testing.T) {
	labels := map[string]string{
		"team": "blue", "app.tier": "front", "org.example/é": "x", "other": "not chosen", parserLabel: "nginx",
		labelComposeProject: "shop", "com.docker.swarm.service.name": "shop_web", "com.docker.swarm.node.id": "node",
	}
	const choice = "team,app.*,org.*,Swarm_Service,swarm_stack,swarm_node,compose_project"
	short := map[string]string{"parser": "nginx", "compose_project": "shop", "swarm_service": "shop_web", "swarm_node": "node"}
	for form, want := range map[string]map[string]string{
		"":       {"label_team": "blue", "label_app_tier": "front", "label_org_example__": "x", "attr_tag": "web", "attr_A_B": "1"},
		"flat":   {"label_team": "blue", "label_app_tier": "front", "label_org_example__": "x", "attr_tag": "web", "attr_A_B": "1"},
		"map":    {"labels[team]": "blue", "labels[app.tier]": "front", "labels[org.example/é]": "x", "attrs[tag]": "web", "attrs[A-B]": "1"},
		"dotted": {"label.team": "blue", "label.app.tier": "front", "label.org.example/é": "x", "attr.tag": "web", "attr.A-B": "1"},
	} {
		maps.Copy(want, short)
		c := &container.Container{Name: "web", Labels: labels, Attrs: map[string]string{"tag": "web", "A-B": "1"}}
		have, said := fieldsWith(t, c, map[string]string{"Labels": choice, "Label_Keys": form})
		if !maps.Equal(have, want) || said != "" {
			t.Errorf("%s: have %v, want %v; said %q", form, have, want, said)
		}
	}
}

func TestLabelsThatMeet(t *testing.T) {
	for _, test := range []struct{ labels, want map[string]string }{
		{map[string]string{"a.b": "dot", "a-b": "dash", "a_b": "itself"}, map[string]string{"label_a_b": "itself"}},
		{map[string]string{"a.b": "dot", "a-b": "dash", "b": "x"}, map[string]string{"label_a_b": "dash", "label_b": "x"}},
	} {
		have, said := fieldsWith(t, &container.Container{Labels: test.labels}, map[string]string{"Labels": "*"})
		if !maps.Equal(have, test.want) {
			t.Errorf("%v: %v, not %v", test.labels, have, test.want)
		}
		if n := strings.Count(said, "have the same record key"); n != len(test.labels)-len(test.want) || !strings.Contains(said, "second=a.b") {
			t.Errorf("%v: said %q", test.labels, said)
		}
		for form, keys := range map[string]int{"map": len(test.labels), "dotted": len(test.labels)} {
			if have, said := fieldsWith(t, &container.Container{Labels: test.labels}, map[string]string{"Labels": "*", "Label_Keys": form}); len(have) != keys || said != "" {
				t.Errorf("%s: %v, said %q", form, have, said)
			}
		}
	}
}

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
	if have, _ := fieldsWith(t, &container.Container{}, map[string]string{"Log_Attrs": "on"}); len(have) != 0 {
		t.Errorf("without any: %v", have)
	}
}
