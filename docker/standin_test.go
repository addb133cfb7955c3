package docker_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"fluent-bit-docker-logs/docker/debian"
)

// Stand-ins for the images that the Dockerfile starts from, of the same layout, made from what is on this machine. They stay
// with the Engine: that of Go until other modules are needed.
const fluentBitStandin = "docker-logs-standin/fluent-bit"

// debianRelease is the release of this machine, of which the stand-ins are.
func debianRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^VERSION_CODENAME=(\w+)$`).FindSubmatch(text)
	if m == nil || !strings.Contains(string(text), "ID=debian") {
		t.Skip("not Debian: stand-ins of the images cannot be made here")
	}
	return string(m[1])
}

// makeGoStandin makes golang:VERSION-RELEASE: a minimal Debian with gcc, this machine's Go, and the modules that the plugin
// needs, so that a build in it asks no network. It returns the name and VERSION.
func makeGoStandin(t *testing.T, d docker, release string) (name, version string) {
	t.Helper()
	modules, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("docker-logs-standin/golang-%.6x", sha256.Sum256(modules))
	version = strings.TrimPrefix(runtime.Version(), "go")
	image := name + ":" + version + "-" + release
	if d.has(image) {
		return name, version
	}
	if _, err := debian.Program(t.Context(), "debootstrap", "debootstrap"); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	run(t, exec.Command("debootstrap", "--variant=minbase", "--include=gcc,libc6-dev", release, root))
	download := exec.Command("go", "mod", "download")
	download.Env = append(os.Environ(), "GOMODCACHE="+filepath.Join(root, "modules"), "GOFLAGS=-modcacherw")
	run(t, download)
	run(t, exec.Command("cp", "-a", runtimeRoot(t), filepath.Join(root, "usr/local/go")))
	d.importTree(t, root, image, "ENV PATH=/usr/local/go/bin:/usr/bin:/bin",
		"ENV GOPROXY=file:///modules/cache/download GOSUMDB=off GOTOOLCHAIN=local HOME=/root", "WORKDIR /go")
	return name, version
}

func runtimeRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

var libraryPath = regexp.MustCompile(`(/[^ ]+) \(0x`)

// makeFluentBitStandin makes fluent/fluent-bit: this machine's Fluent Bit at the official place with its libraries, and
// nothing else: no shell, as there.
func makeFluentBitStandin(t *testing.T, d docker, version string) {
	t.Helper()
	path, ok := debian.FluentBit()
	if !ok {
		t.Skip("no fluent-bit here: a stand-in for its image cannot be made")
	}
	ldd, err := exec.Command("ldd", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root")
	install(t, path, filepath.Join(root, "fluent-bit/bin/fluent-bit"))
	for _, m := range libraryPath.FindAllStringSubmatch(string(ldd), -1) {
		install(t, m[1], filepath.Join(root, m[1]))
	}
	d.importTree(t, root, fluentBitStandin+":"+version, `ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]`,
		`CMD ["/fluent-bit/bin/fluent-bit", "-c", "/fluent-bit/etc/fluent-bit.conf"]`)
}

// install copies a file, followed where it is a link.
func install(t *testing.T, from, to string) {
	t.Helper()
	run(t, exec.Command("install", "-D", from, to))
}
