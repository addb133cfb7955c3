package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/testkit"
)

// fieldsWith returns what a record of a container has besides what every record
// has, and which labels have one key.
func fieldsWith(t *testing.T, c *container.Container, labels, form string) (fields map[string]string, met []SameKey) {
	t.Helper()
	opts := Options{LogKey: "log", LabelKeys: form, Host: "here"}
	testkit.Must(t, container.ParseLabels(&opts.Labels, labels))
	c.ID = strings.Repeat("ab", 32)
	tmpl, met := NewTemplate(&opts, c)
	for _, truncated := range []bool{false, true} {
		b := tmpl.Append(nil, 1e18+7, decode.Stdout, []byte("text"), truncated)
		if len(b) > tmpl.Size(len("text")) {
			t.Errorf("%d bytes, where %d were said to be enough", len(b), tmpl.Size(len("text")))
		}
		rs, err := testkit.DecodeRecords("", b)
		testkit.Must(t, err)
		if rs[0].Sec != 1e9 || rs[0].Nanos != 7 || (rs[0].Fields["partial"] == "true") != truncated {
			t.Errorf("truncated %v: %+v", truncated, rs[0])
		}
		fields = rs[0].Fields
		delete(fields, "partial")
	}
	for _, key := range []string{"log", "stream", "container_id", "container_name", "image", "host"} {
		if _, ok := fields[key]; !ok {
			t.Errorf("the record lacks %s", key)
		}
		delete(fields, key)
	}
	return fields, met
}

// Each form of the keys of labels and attrs, and what labels with one key do.
func TestLabelKeys(t *testing.T) {
	labels := map[string]string{
		"team": "blue", "app.tier": "front", "org.example/é": "x", "other": "not chosen", container.ParserLabel: "nginx",
		container.LabelOf("compose_project"): "shop", "com.docker.swarm.service.name": "shop_web", "com.docker.swarm.node.id": "node",
	}
	const choice = "team,app.*,org.*,Swarm_Service,swarm_stack,swarm_node,compose_project"
	short := map[string]string{"parser": "nginx", "compose_project": "shop", "swarm_service": "shop_web", "swarm_node": "node"}
	for form, want := range map[string]map[string]string{
		"flat":   {"label_team": "blue", "label_app_tier": "front", "label_org_example__": "x", "attr_tag": "web", "attr_A_B": "1"},
		"map":    {"labels[team]": "blue", "labels[app.tier]": "front", "labels[org.example/é]": "x", "attrs[tag]": "web", "attrs[A-B]": "1"},
		"dotted": {"label.team": "blue", "label.app.tier": "front", "label.org.example/é": "x", "attr.tag": "web", "attr.A-B": "1"},
	} {
		maps.Copy(want, short)
		c := &container.Container{Name: "web", Labels: labels, Attrs: map[string]string{"tag": "web", "A-B": "1"}}
		have, met := fieldsWith(t, c, choice, form)
		if !maps.Equal(have, want) || len(met) != 0 {
			t.Errorf("%s: have %v, want %v; met %v", form, have, want, met)
		}
	}
}

func TestLabelsThatMeet(t *testing.T) {
	for _, test := range []struct{ labels, want map[string]string }{
		{map[string]string{"a.b": "dot", "a-b": "dash", "a_b": "itself"}, map[string]string{"label_a_b": "itself"}},
		{map[string]string{"a.b": "dot", "a-b": "dash", "b": "x"}, map[string]string{"label_a_b": "dash", "label_b": "x"}},
	} {
		have, met := fieldsWith(t, &container.Container{Labels: test.labels}, "*", KeysFlat)
		if !maps.Equal(have, test.want) {
			t.Errorf("%v: %v, not %v", test.labels, have, test.want)
		}
		if len(met) != len(test.labels)-len(test.want) || !slices.ContainsFunc(met, func(m SameKey) bool { return m.Second == "a.b" }) {
			t.Errorf("%v: %v", test.labels, met)
		}
		for form, keys := range map[string]int{"map": len(test.labels), "dotted": len(test.labels)} {
			if have, met := fieldsWith(t, &container.Container{Labels: test.labels}, "*", form); len(have) != keys || len(met) != 0 {
				t.Errorf("%s: %v, %v", form, have, met)
			}
		}
	}
}

func TestTagTemplate(t *testing.T) {
	ctr := &container.Container{ID: "abc", Name: "we b*", Image: "nginx", Labels: map[string]string{"com.docker.swarm.service.name": "shop_web"}}
	for template, want := range map[string]string{
		"":                        "",
		"docker.<container_name>": "docker.we_b_",
		"<compose_project>.<container_id>.<image>.<host>": "none.abc.nginx.h",
		"<swarm_service>.<swarm_stack>":                   "shop_web.none",
	} {
		if got := (&Options{Tag: template, Host: "h"}).TagOf(ctr); got != want {
			t.Errorf("%q gives %q, not %q", template, got, want)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	text := fmt.Appendf(nil, "%-129s", `{"level":"info","msg":"GET /api/v1/items/4711 200","took":"3.2ms"}`)
	tmpl, _ := NewTemplate(&Options{LogKey: "log", Host: "here"}, &container.Container{ID: strings.Repeat("ab", 32), Name: "shop-web-1", Image: "nginx:1.27"})
	buf := make([]byte, 0, 1<<20)
	b.SetBytes(int64(len(text) + 1))
	b.ReportAllocs()
	for b.Loop() {
		buf = tmpl.Append(buf[:0], 1, decode.Stdout, text, false)
	}
}
