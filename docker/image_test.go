// Package docker_test holds the image and the stack true: what can be checked without the images' registry is checked.
package docker_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"fluent-bit-docker-logs/docker/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(enginetest.M{M: m}) }

// docker runs the command of that name against one Engine.
type docker struct{ host string }

func (d docker) command(args ...string) *exec.Cmd {
	cmd := exec.Command("docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host, "DOCKER_BUILDKIT=0")
	return cmd
}

func (d docker) has(image string) bool { return d.command("image", "inspect", image).Run() == nil }

// importTree makes an image of one layer.
func (d docker) importTree(t *testing.T, root, image string, changes ...string) {
	t.Helper()
	tar := exec.Command("tar", "-C", root, "--one-file-system", "-c", ".")
	layer, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	imported := d.command(append(args, "-", image)...)
	imported.Stdin = layer
	if err := tar.Start(); err != nil {
		t.Fatal(err)
	}
	run(t, imported)
	if err := tar.Wait(); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and returns its standard output without the last newline.
func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, said.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// TestImage builds the Dockerfile and runs the image as docker/README.md#the-image says: with a read-only root, as a user of no rights through
// the API, and as root with one capability from the log files; every line of another container comes once, in order, also
// when the image's container is restarted meanwhile. With IMAGE_TEST the plugin is compiled in the image, which takes minutes,
// else what `make build` has built is put there.
func TestImage(t *testing.T) {
	engine := enginetest.First(t)
	d := docker{engine.Host}
	release := debianRelease(t)
	version := dockerfileArg(t, "FLUENT_BIT_VERSION")
	fluentBit, runnable := makeFluentBitStandin(t, d, version)
	makeGo := makeGoStandin
	if os.Getenv("IMAGE_TEST") == "" {
		makeGo = makeBuiltStandin
	}
	goImage, goVersion := makeGo(t, d, release)
	build := func(target ...string) string {
		image := fmt.Sprintf("docker-logs-image-test:%d%s", os.Getpid(), strings.Join(target, ""))
		args := []string{"build", "-q", "-f", "Dockerfile", "-t", image, "--network", "none",
			"--build-arg", "GO_IMAGE=" + goImage, "--build-arg", "GO_VERSION=" + goVersion,
			"--build-arg", "DEBIAN_RELEASE=" + release, "--build-arg", "FLUENT_BIT_IMAGE=" + fluentBit}
		for _, name := range target {
			args = append(args, "--target", name)
		}
		run(t, d.command(append(args, "..")...))
		t.Cleanup(func() { run(t, d.command("rmi", image)) })
		return image
	}
	build("build") // by a name, so that it goes with the test
	image, loggen := build(), build("loggen")
	if !runnable {
		t.Skip("no fluent-bit here: the image was built, and cannot be run")
	}

	socket := strings.TrimPrefix(engine.Host, "unix://")
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	group := fmt.Sprint(info.Sys().(*syscall.Stat_t).Gid)
	logs := filepath.Join(run(t, d.command("info", "--format", "{{.DockerRootDir}}")), "containers")
	for way, c := range map[string]struct {
		args []string
		says string
	}{
		"API":   {[]string{"--group-add", group}, "the log is read through the Engine's API"},
		"files": {[]string{"--user", "0", "--cap-add", "DAC_READ_SEARCH", "-v", logs + ":" + logs + ":ro"}, "the log is read from its file"},
	} {
		t.Run(way, func(t *testing.T) {
			name := fmt.Sprintf("docker-logs-image-test-%d-%s", os.Getpid(), way)
			producer, agent := name+"-producer", name+"-agent"
			args := append([]string{"run", "-d", "--name", agent, "--read-only", "--cap-drop", "ALL",
				"--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined", "--network", "none",
				"-v", socket + ":/var/run/docker.sock:ro", "-v", name + ":/var/lib/fluent-bit",
				"-v", configuration(t, producer) + ":/etc/fluent-bit/fluent-bit.yaml:ro", "--health-interval", "1s", "-e", "METRICS_LISTEN=0.0.0.0:8001"}, c.args...)
			run(t, d.command(append(args, image)...))
			t.Cleanup(func() {
				run(t, d.command("rm", "-f", producer, agent))
				run(t, d.command("volume", "rm", name))
			})
			const lines = 3000
			run(t, d.command("run", "-d", "--name", producer, "--network", "none", "--security-opt", "seccomp=unconfined",
				loggen, "-std=both", fmt.Sprint("-lines=", lines), "-rate=1000"))
			run(t, d.command("restart", agent))
			await(t, "its health", func() bool {
				return run(t, d.command("inspect", "--format", "{{.State.Health.Status}}", agent)) == "healthy"
			})
			var out string
			await(t, "its records", func() bool {
				out = run(t, d.command("logs", agent))
				return strings.Count(out, "\n{")+1 >= 2*lines
			})
			said, err := d.command("logs", agent).CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(said), c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, recordLine.ReplaceAllString(string(said), ""))
			}
			if !servedToAll.Match(said) {
				t.Errorf("it does not say %q, so METRICS_LISTEN is ignored:\n%s", servedToAll, recordLine.ReplaceAllString(string(said), ""))
			}
			checkNumbers(t, out, lines)
		})
	}
}

// servedToAll is how the address 0.0.0.0 is said, where there is IPv6 and where not.
var servedToAll = regexp.MustCompile(`metrics are served url=http://(\[::]|0\.0\.0\.0):8001/`)

// recordLine is what the output prints, between what Fluent Bit logs.
var recordLine = regexp.MustCompile(`(?m)^\{.*\n`)

// configuration is the image's own, for one container only, which is taken from its beginning.
func configuration(t *testing.T, container string) (path string) {
	t.Helper()
	text, err := os.ReadFile("../conf/fluent-bit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "fluent-bit.yaml")
	edited := strings.Replace(string(text), "      #include: web-*,compose_project=shop", "      include: "+container, 1)
	if edited == string(text) {
		t.Fatal("conf/fluent-bit.yaml shows include otherwise")
	}
	if err := os.WriteFile(path, []byte(edited), 0o644); err != nil { //nolint:gosec // the image's user must read it
		t.Fatal(err)
	}
	return path
}

// checkNumbers wants the sequence numbers 1 to n of each std stream once and in order.
func checkNumbers(t *testing.T, out string, n int) {
	t.Helper()
	next := map[string]int{}
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var r struct{ Log, Stream string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		next[r.Stream]++
		if want := fmt.Sprintf("run %s %d ", r.Stream, next[r.Stream]); !strings.HasPrefix(r.Log+" ", want) {
			t.Fatalf("%s: %q, want %q", r.Stream, r.Log, want)
		}
	}
	if next["stdout"] != n || next["stderr"] != n {
		t.Errorf("records: %v, want %d of each", next, n)
	}
}

// await asks until it is so; what it waits for happens in another process that tells nobody.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
