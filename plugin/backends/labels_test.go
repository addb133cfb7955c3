package backends

import (
	"maps"
	"testing"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/plugin/backends/lokitest"
)

// TestLabelsReachLoki: what Labels and Log_Attrs add can be named as a label of Loki, as structured metadata, and be
// removed, so that the line stays as it was.
func TestLabelsReachLoki(t *testing.T) {
	for form, test := range map[string]struct{ labels, metadata, remove string }{
		"flat": {"team=$label_app_team, swarm_service=$swarm_service", "tag=$attr_tag", "label_app_team,swarm_service,attr_tag"},
		"map":  {"team=$labels['app.team'], swarm_service=$swarm_service", "tag=$attrs['tag']", "labels,swarm_service,attrs"},
	} {
		t.Run(form, func(t *testing.T) {
			r := refuse(t, lokitest.Defaults(),
				setting{"Labels", "job=docker, stream=$stream, " + test.labels, ""},
				setting{"Structured_Metadata", "container_name=$container_name, " + test.metadata, ""},
				setting{"Remove_Keys", "host,container_name,stream,container_id,image," + test.remove, ""},
				setting{"Labels", "app.team,swarm_service", "docker_logs"},
				setting{"Label_Keys", form, "docker_logs"},
				setting{"Log_Attrs", "on", "docker_logs"})
			c := r.engine.Run(dockertest.Container{Name: "web", LogOpts: map[string]string{"tag": "{{.Name}}/x"}, Labels: map[string]string{
				"app.team": "blue", "com.docker.swarm.service.name": "shop_web", "other": "not chosen"}})
			c.Stdout("the line")
			r.start()
			e := r.taken(1)[0]
			want := map[string]string{"job": "docker", "stream": "stdout", "team": "blue", "swarm_service": "shop_web"}
			meta := map[string]string{"container_name": "web", "tag": "web/x"}
			if !maps.Equal(e.Labels, want) || !maps.Equal(e.Metadata, meta) || e.Text != "the line" {
				t.Errorf("labels %v, metadata %v, line %q; want %v, %v, %q", e.Labels, e.Metadata, e.Text, want, meta, "the line")
			}
		})
	}
}

// TestLabelsAsShown: what conf/loki.conf says of labels needs nothing but Labels switched on.
func TestLabelsAsShown(t *testing.T) {
	r := refuse(t, lokitest.Defaults(), setting{"Labels", "team,swarm_service", "docker_logs"})
	for name, labels := range map[string]map[string]string{
		"both": {"team": "blue", "com.docker.swarm.service.name": "shop_web"}, "none": nil,
	} {
		r.engine.Run(dockertest.Container{Name: name, Labels: labels}).Stdout("the line")
	}
	r.start()
	for _, e := range r.taken(2) {
		want := map[string]string{}
		if e.Labels["container_name"] == "both" {
			want = map[string]string{"team": "blue", "swarm_service": "shop_web"}
		}
		for _, key := range []string{"container_id", "image"} {
			if e.Metadata[key] == "" {
				t.Errorf("no %s in %v", key, e.Metadata)
			}
			delete(e.Metadata, key)
		}
		if !maps.Equal(e.Metadata, want) || e.Text != "the line" {
			t.Errorf("metadata %v, line %q", e.Metadata, e.Text)
		}
	}
}
