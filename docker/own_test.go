package docker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
)

// TestOwnContainer runs the plugin in a container, which leaves itself out and nothing else, also where it has the network, and
// so the files of /etc, of another container, which is the form of a side-car.
func TestOwnContainer(t *testing.T) {
	run(t, script(t, nil, "make", "--silent", "--no-print-directory", "build"))
	build, err := filepath.Abs("../build")
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range enginetest.All(t) {
		for _, network := range []string{"none", "container:"} {
			t.Run("Engine "+engine.Version+"/"+network, func(t *testing.T) { testOwnContainer(t, engine, network, build) })
		}
	}
}

func testOwnContainer(t *testing.T, engine *enginetest.Engine, network, build string) {
	d := docker{engine.Host}
	image, err := engine.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("own-%d", time.Now().UnixNano())
	app, agent := name+"-app", name+"-agent"
	engine.Run(t, enginetest.Options{Name: app, Args: []string{"-lines=100000", "-rate=20"}})
	if strings.HasPrefix(network, "container:") {
		network += app
	}
	// The host is a program of this machine, whose libraries it needs.
	args := []string{"run", "-d", "--name", agent, "--network", network, "--security-opt", "seccomp=unconfined", "--label", enginetest.Label + "=" + fmt.Sprint(os.Getpid()),
		"-v", strings.TrimPrefix(engine.Host, "unix://") + ":/engine.sock", "-v", build + ":/build:ro"}
	for _, dir := range []string{"/usr", "/lib", "/lib64", "/etc/ld.so.cache"} {
		if _, err := os.Stat(dir); err == nil {
			args = append(args, "-v", dir+":"+dir+":ro")
		}
	}
	run(t, d.command(append(args, "--entrypoint", "/build/flbhost", image,
		"-o", "stdout", "--flush-ms", "100", "/build/in_docker_logs.so", "Docker_Host=unix:///engine.sock", "Include="+name+"*", "Start_From=beginning", "Metrics_Listen=off")...))
	t.Cleanup(func() { run(t, d.command("rm", "-f", "-v", agent)) })
	var said string
	await(t, "records of "+app, func() bool {
		both, err := d.command("logs", agent).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		said = string(both)
		return strings.Count(said, `"container_name":"`+app+`"`) >= 40 // two seconds of them, in which its own would have come
	})
	if want := "the own container is left out (Exclude_Self) container=" + agent; !strings.Contains(said, want) {
		t.Errorf("it does not say %q", want)
	}
	for line := range strings.Lines(said) {
		var r struct {
			Name string `json:"container_name"`
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Name != "" && r.Name != app {
			t.Fatalf("captured was %.300s", line)
		}
	}
}
