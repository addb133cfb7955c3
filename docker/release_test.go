package docker_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"fluent-bit-docker-logs/capture/dockertest"
)

// releasedGlibc is the oldest C library that a release runs with, RHEL 7's.
const releasedGlibc = "2.17"

// released returns the version that `make release` has just made, and the path of one of its files by what follows the version.
func released(t *testing.T) (version string, file func(rest string) string) {
	t.Helper()
	version = os.Getenv("RELEASE")
	if version == "" {
		t.Skip("make release runs it")
	}
	return version, func(rest string) string { return "../build/release/in_docker_logs-" + version + "-linux-" + rest }
}

// TestReleaseFits: each plugin is for its machine, for a C library as old as was promised, and stripped.
func TestReleaseFits(t *testing.T) {
	_, file := released(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		path := file(arch + ".so")
		needs := neededGlibc(t, path)
		t.Logf("%s needs GLIBC_%s", path, needs)
		if newer(needs, releasedGlibc) {
			t.Errorf("%s needs GLIBC_%s, newer than %s", path, needs, releasedGlibc)
		}
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != machine || f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
			t.Errorf("%s is for %v, or not stripped", path, f.Machine)
		}
		_ = f.Close()
	}
}

// TestReleaseIsWhole: archives, packages, lists of parts and sums are there and agree.
func TestReleaseIsWhole(t *testing.T) {
	version, file := released(t)
	wanted := []string{"SHA256SUMS", "THIRD-PARTY.txt"}
	for _, arch := range []string{"amd64", "arm64"} {
		so, err := os.ReadFile(file(arch + ".so"))
		if err != nil {
			t.Fatal(err)
		}
		in := unpack(t, file(arch+".tar.gz"))
		if !bytes.Equal(in["in_docker_logs.so"], so) {
			t.Errorf("the archive for %s holds another plugin", arch)
		}
		for _, name := range []string{"conf/fluent-bit.yaml", "conf/plugins.conf", "LICENSE", "README.md", "CHANGELOG.md", "THIRD-PARTY.txt"} {
			if len(in[name]) == 0 {
				t.Errorf("the archive for %s lacks %s", arch, name)
			}
		}
		info, err := buildinfo.ReadFile(file(arch + ".so"))
		if err != nil {
			t.Fatal(err)
		}
		parts := readFile(t, file(arch+".cdx.json"))
		for _, m := range info.Deps {
			if !strings.Contains(parts, `"purl": "pkg:golang/`+m.Path+"@"+m.Version) {
				t.Errorf("the list of parts for %s lacks %s %s", arch, m.Path, m.Version)
			}
			if !bytes.Contains(in["THIRD-PARTY.txt"], []byte("\n"+m.Path+" "+m.Version+"\n")) {
				t.Errorf("for %s there is no license of %s %s", arch, m.Path, m.Version)
			}
		}
		for _, rest := range []string{".so", ".tar.gz", ".cdx.json"} {
			wanted = append(wanted, filepath.Base(file(arch+rest)))
		}
	}
	tilde := strings.Replace(version, "-", "~", 1) // how packages sort what comes before a release
	for deb, rpm := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		wanted = append(wanted, "fluent-bit-docker-logs_"+tilde+"_"+deb+".deb", "fluent-bit-docker-logs-"+tilde+"-1."+rpm+".rpm")
	}
	entries, err := os.ReadDir("../build/release")
	if err != nil {
		t.Fatal(err)
	}
	sums := readFile(t, "../build/release/SHA256SUMS")
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
		if e.Name() == "SHA256SUMS" {
			continue
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(readFile(t, "../build/release/"+e.Name()))), e.Name()); !strings.Contains(sums, line) {
			t.Errorf("SHA256SUMS lacks %s", line)
		}
	}
	slices.Sort(wanted)
	if !slices.Equal(have, wanted) {
		t.Errorf("there are\n%q\nand not\n%q", have, wanted)
	}
}

// unpack returns the files of an archive, without the directory that all are in.
func unpack(t *testing.T, path string) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(readFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	in := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return in
		}
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		if in[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReleaseRuns: each plugin is loaded on its machine, that for arm64 on one that qemu plays, names its version, and brings
// every line once, in order.
func TestReleaseRuns(t *testing.T) {
	version, file := released(t)
	for arch, emulator := range map[string][]string{"amd64": nil, "arm64": {"qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"}} {
		t.Run(arch, func(t *testing.T) {
			const lines = 500
			e := dockertest.Start(t)
			web := e.Run(dockertest.Container{Name: "web"})
			var want []string
			for i := range lines {
				line := fmt.Sprintf("line %d", i)
				if i%100 == 99 {
					line += strings.Repeat(" of many bytes", 3000)
				}
				want = append(want, line)
				web.Stdout(line)
			}
			command := slices.Concat(emulator, []string{"../build/flbhost-" + arch, "--duration", "3m", file(arch + ".so"), "Docker_Host=" + e.Host(), "Start_From=beginning", "Metrics_Listen=off"})
			cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
			var out bytes.Buffer
			cmd.Stdout = &out
			commands, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_, _ = fmt.Fprintf(commands, "wait %d\n", lines) // where it has ended, Wait says so
			var said strings.Builder
			for s := bufio.NewScanner(stderr); s.Scan(); {
				said.WriteString(s.Text() + "\n")
				if strings.HasPrefix(s.Text(), "[host] ok wait") {
					_, _ = fmt.Fprintln(commands, "exit")
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, said.String())
			}
			var got []string
			s := bufio.NewScanner(&out)
			for s.Buffer(nil, 1<<20); s.Scan(); {
				var r struct{ Record struct{ Log string } }
				if err := json.Unmarshal(s.Bytes(), &r); err != nil {
					t.Fatalf("%v: %s", err, s.Bytes())
				}
				got = append(got, r.Record.Log)
			}
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("line %d is %.60q (%d bytes), not %.60q (%d bytes)", i, got[i], len(got[i]), want[i], len(want[i]))
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d lines came, not the %d that were written", len(got), len(want))
			}
			if !strings.Contains(said.String(), "docker_logs version="+version+"\n") {
				t.Errorf("it does not name version %s:\n%s", version, said.String())
			}
			t.Logf("%d lines", len(got))
		})
	}
}

// TestReleaseWorkflow: what publishes a release tests with the Go of go.mod, and on the Debian that has Go's image.
func TestReleaseWorkflow(t *testing.T) {
	var w struct {
		Jobs map[string]struct {
			Needs     string
			Container struct{ Image string }
			Steps     []struct{ Run, Uses string }
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, "../.github/workflows/release.yml")), &w); err != nil {
		t.Fatal(err)
	}
	build := w.Jobs["build"]
	if want := "golang:" + goOfModule(t) + "-bookworm"; build.Container.Image != want {
		t.Errorf("it builds in %s, go.mod and .ci/run need %s", build.Container.Image, want)
	}
	next := 0
	for _, s := range build.Steps {
		if next < 2 && strings.HasPrefix(s.Run, []string{".ci/run", "make release VERSION="}[next]) {
			next++
		}
	}
	if next != 2 || w.Jobs["publish"].Needs != "build" {
		t.Error("it does not run .ci/run, then make release, and then publish")
	}
	image, pushed := w.Jobs["image"], false
	for _, s := range image.Steps {
		pushed = pushed || strings.Contains(s.Run, "docker buildx build --platform linux/amd64,linux/arm64 --file docker/Dockerfile ") && strings.Contains(s.Run, " --push ")
	}
	if image.Needs != "build" || !pushed {
		t.Error("it does not publish the image for both platforms once all is tested")
	}
}
