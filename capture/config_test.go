package capture_test

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
)

func parse(opts map[string]string) (capture.Config, error) {
	return capture.ParseConfig(func(k string) string { return opts[k] })
}

func TestDefaults(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	c, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.DockerHost != "unix:///var/run/docker.sock",
		c.Reader != "auto", !c.ExcludeSelf, !c.Stdout, !c.Stderr,
		c.StartFrom != checkpoint.Start{}, c.LogKey != "log",
		c.MaxLineSize != 1<<20, c.BatchSize != 64<<10, c.BufferLimit != 8<<20,
		c.TagTemplate != "", c.ResyncInterval != time.Minute,
		!c.Labels.None(), len(c.Include)+len(c.Exclude) != 0:
		t.Errorf("defaults are %+v", c)
	}
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
	if c, _ := parse(nil); c.DockerHost != "tcp://127.0.0.1:2375" {
		t.Errorf("DOCKER_HOST is not used: %s", c.DockerHost)
	}
}

// Each value of the wrong kind is refused with the option, the value and what
// is allowed.
func TestBadValues(t *testing.T) {
	for _, test := range []struct{ key, value string }{
		{"Docker_Host", "docker.sock"}, {"Docker_Host", "http://x"}, {"Docker_Host", "unix://"},
		{"Docker_TLS_CA", "/no/such/file"}, {"Docker_TLS_Verify", "perhaps"},
		{"Reader", "magic"}, {"Metrics_Listen", "8001"}, {"Metrics_Listen", "localhost:http"}, {"Metrics_Per_Container", "some"},
		{"Include", "colour=red"}, {"Include", "name="}, {"Include", "name=[a"}, {"Exclude", "label.=x"},
		{"Exclude_Self", "2"}, {"Streams", "stdout,stdin"}, {"Streams", ","},
		{"Start_From", "yesterday"}, {"Start_From", "tail:"}, {"Start_From", "tail:-1"}, {"Start_From", "-5m"},
		{"Labels", "[x"}, {"Log_Key", "stream"}, {"Log_Key", "label.x"},
		{"Log_Key", "label_x"}, {"Log_Key", "labels"}, {"Log_Key", "attr_tag"}, {"Log_Key", "swarm_node"}, {"Label_Keys", "nested"}, {"Multiline", "on"}, {"Multiline", "java,cobol"}, {"Multiline", ","}, {"Log_Key", "parser"}, {"Log_Attrs", "tag"}, {"Include", "swarm_thing=x"},
		{"Max_Line_Size", "0"}, {"Max_Line_Size", "many"}, {"Max_Line_Size", "1T"},
		{"Batch_Size", "1M"}, {"Batch_Size", "-1"}, {"Buffer_Limit", "10k"},
		{"Tag_Template", "docker.<colour>"}, {"Resync_Interval", "1"}, {"Resync_Interval", "2h"},
	} {
		_, err := parse(map[string]string{test.key: test.value})
		if err == nil {
			t.Errorf("%s %s is accepted", test.key, test.value)
			continue
		}
		for _, want := range []string{test.key, test.value, "allowed: "} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: the message lacks %q: %v", test.key, test.value, want, err)
			}
		}
	}
}

func TestEveryOptionHasDefaultAndHelp(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range capture.Options() {
		if o.Help == "" || o.Allowed == "" || seen[strings.ToLower(o.Key)] {
			t.Errorf("option %+v", o)
		}
		seen[strings.ToLower(o.Key)] = true
		// Fluent Bit never hands these to a plugin.
		for _, taken := range []string{"tag", "alias", "host", "port", "listen", "ipv6", "log_level", "log_suppress_interval",
			"mem_buf_limit", "routable", "threaded"} {
			if strings.EqualFold(o.Key, taken) {
				t.Errorf("%s cannot be read by a plugin", o.Key)
			}
		}
	}
}

func TestSelectors(t *testing.T) {
	ctr := &container.Container{ID: strings.Repeat("ab", 32), Name: "web-1", Image: "nginx:1.27", Labels: map[string]string{
		container.LabelOf("compose_project"): "shop", container.LabelOf("compose_service"): "web", "team": "blue", "Mixed.Case": "x",
		"com.docker.swarm.service.name": "shop_web", "com.docker.stack.namespace": "shop"}}
	for _, test := range []struct {
		include, exclude string
		want             bool
	}{
		{"", "", true}, {"web-*", "", true}, {"db-*", "", false}, {"db-*,web-1", "", true},
		{"name=web-?", "", true}, {"NAME=web-?", "", true}, {"id=abab*", "", true}, {"image=nginx:*", "", true},
		{"compose_project=shop", "", true}, {"compose_service=db", "", false},
		{"label.team=blue", "", true}, {"label.team=red", "", false}, {"label.none=*", "", false}, {"label.Mixed.Case=x", "", true},
		{"", "label.team=b*", false}, {"swarm_service=shop_web", "", true}, {"swarm_stack=other", "", false}, {"web-*", "image=nginx*", false}, {"", "name=db", true},
	} {
		c, err := parse(map[string]string{"Include": test.include, "Exclude": test.exclude})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Wanted(ctr, ""); got != test.want {
			t.Errorf("Include %q, Exclude %q: %v", test.include, test.exclude, got)
		}
	}
	c, _ := parse(nil)
	if c.Wanted(ctr, ctr.ID) {
		t.Error("the own container is captured")
	}
	if c, _ := parse(map[string]string{"Exclude_Self": "off"}); !c.Wanted(ctr, ctr.ID) {
		t.Error("Exclude_Self off is not honoured")
	}
	for value, out := range map[string]bool{"true": true, "True": true, "on": true, "1": true, "false": false, "": false, "perhaps": false} {
		ctr.Labels[container.ExcludeLabel] = value
		if c.Wanted(ctr, "") == out {
			t.Errorf("the opt-out label is not honoured: %q", value)
		}
	}
}

func TestOwnContainer(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	inside := "644 643 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n"
	is := func(mounts, cgroup string, c container.Container) bool {
		return capture.IsOwn(mounts, cgroup, &c)
	}
	const root = "600 500 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/var/lib/docker/overlay2/abc/diff,workdir=/w\n"
	other := strings.Repeat("fedcba9876543210", 4)
	for _, test := range []struct {
		what, mounts, cgroup string
		c                    container.Container
		want                 bool
	}{
		{"inside, no layers are known", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + inside, "0::/\n", container.Container{ID: id}, true},
		{"another one", inside, "0::/\n", container.Container{ID: other}, false},
		{"the network of another", root + inside, "0::/\n", container.Container{ID: other, UpperDir: "/var/lib/docker/overlay2/abc/diff"}, true},
		{"whose network it is", root + inside, "0::/\n", container.Container{ID: id, UpperDir: "/var/lib/docker/overlay2/def/diff"}, false},
		{"cgroup v1", inside, "9:name=systemd:/docker/" + other + "\n0::/\n", container.Container{ID: other}, true},
		{"cgroup v1, whose network it is", inside, "9:name=systemd:/docker/" + other + "\n", container.Container{ID: id}, false},
		{"cgroup v2 of the host", inside, "0::/system.slice/docker-" + other + ".scope\n", container.Container{ID: other}, true},
		{"on the host", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", "0::/\n", container.Container{ID: id}, false},
	} {
		if have := is(test.mounts, test.cgroup, test.c); have != test.want {
			t.Errorf("%s: %v", test.what, have)
		}
	}
	onHost := "700 25 0:50 / /var/lib/docker/containers/" + id + "/mounts/shm rw - tmpfs shm rw\n"
	if is(onHost, "0::/\n", container.Container{ID: id}) {
		t.Error("on the host")
	}
}
