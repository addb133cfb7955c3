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

// Stand-ins for the images that the Dockerfile starts from, of the same layout, made from what is on this machine. They go
// with the test, but for that in which Go compiles: it stays with the Engine until other modules are needed.

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

// builtGo stands in for go where all that would be built is in /built, with the names of the files that this takes in
// /built/sources: they must have been copied.
const builtGo = `#!/bin/sh
set -eu
if [ "$*" = "mod download" ]; then
	test -s go.mod && test -s go.sum
	exit
fi
test "$1" = build
while read -r file; do
	test -e "$file" || { echo "the build has no $file"; exit 1; }
done </built/sources
while [ "$1" != -o ]; do shift; done
out=$2
shift 2
mkdir -p "${out%/*}"
for package; do
	cp "/built/${package##*/}" "$out"
done
`

// makeBuiltStandin makes a stand-in as makeGoStandin does, in seconds and without a network: its go hands out what was built
// on this machine.
func makeBuiltStandin(t *testing.T, d docker, release string) (name, version string) {
	t.Helper()
	run(t, script(t, nil, "make", "--silent", "--no-print-directory", "build"))
	root := filepath.Join(t.TempDir(), "root")
	built := filepath.Join(root, "built")
	install(t, "../build/in_docker_logs.so", filepath.Join(built, "plugin"))
	programs := script(t, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, "./docker/healthcheck", "./docker/loggen")
	run(t, programs)
	files := `{{$d := .Dir}}{{if .Module}}{{if .Module.Main}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{range .CgoFiles}}{{$d}}/{{.}}
{{end}}{{range .CFiles}}{{$d}}/{{.}}
{{end}}{{range .HFiles}}{{$d}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}
{{end}}{{end}}{{end}}`
	list := run(t, script(t, nil, "go", "list", "-deps", "-f", files, "./plugin", "./docker/healthcheck", "./docker/loggen"))
	module := run(t, script(t, nil, "go", "list", "-m", "-f", "{{.Dir}}"))
	sources := ""
	for file := range strings.FieldsSeq(list) {
		sources += strings.TrimPrefix(file, module+"/") + "\n"
	}
	write(t, filepath.Join(built, "sources"), sources, 0o644)
	write(t, filepath.Join(root, "usr/local/go/bin/go"), builtGo, 0o755)
	for _, program := range []string{"sh", "mkdir", "chmod", "cp"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		installProgram(t, path, filepath.Join(root, "bin", program), root)
	}
	name, version = "docker-logs-standin/golang-built", fmt.Sprint(os.Getpid())
	image := name + ":" + version + "-" + release
	d.importTree(t, root, image, "ENV PATH=/usr/local/go/bin:/bin")
	t.Cleanup(func() { run(t, d.command("rmi", image)) })
	return name, version
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // of an image
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
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
// nothing else: no shell, as there. Without a Fluent Bit the image has the project's host there, and cannot be run.
func makeFluentBitStandin(t *testing.T, d docker, version string) (name string, runnable bool) {
	t.Helper()
	path, runnable := debian.FluentBit()
	if !runnable {
		path = "../build/flbhost"
		run(t, script(t, nil, "make", "--silent", "--no-print-directory", "build"))
	}
	root := filepath.Join(t.TempDir(), "root")
	installProgram(t, path, filepath.Join(root, "fluent-bit/bin/fluent-bit"), root)
	name = fmt.Sprint("docker-logs-standin/fluent-bit-", os.Getpid())
	d.importTree(t, root, name+":"+version, `ENTRYPOINT ["/fluent-bit/bin/fluent-bit"]`,
		`CMD ["/fluent-bit/bin/fluent-bit", "-c", "/fluent-bit/etc/fluent-bit.conf"]`)
	t.Cleanup(func() { run(t, d.command("rmi", name+":"+version)) })
	return name, runnable
}

// installProgram copies a program, and the libraries that it needs to where they are below root.
func installProgram(t *testing.T, from, to, root string) {
	t.Helper()
	ldd, err := exec.Command("ldd", from).Output()
	if err != nil {
		t.Fatal(err)
	}
	install(t, from, to)
	for _, m := range libraryPath.FindAllStringSubmatch(string(ldd), -1) {
		install(t, m[1], filepath.Join(root, m[1]))
	}
}

// install copies a file, followed where it is a link.
func install(t *testing.T, from, to string) {
	t.Helper()
	run(t, exec.Command("install", "-D", from, to))
}
