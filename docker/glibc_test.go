package docker_test

import (
	"debug/elf"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// glibc are the C libraries of Debian's releases.
var glibc = map[string]string{"bookworm": "2.36", "trixie": "2.41"}

// dockerfileArg returns the default of an ARG of the Dockerfile.
func dockerfileArg(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ARG ` + name + `=(.+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("the Dockerfile has no ARG %s", name)
	}
	return string(m[1])
}

// TestGlibc: the plugin needs no newer C library than the image's base has.
func TestGlibc(t *testing.T) {
	release := dockerfileArg(t, "DEBIAN_RELEASE")
	has, ok := glibc[release]
	if !ok {
		t.Fatalf("which C library Debian %s has is not known here", release)
	}
	needs := neededGlibc(t, "../build/in_docker_logs.so")
	t.Logf("it needs GLIBC_%s, Debian %s has %s", needs, release, has)
	if newer(needs, has) {
		t.Errorf("it needs GLIBC_%s, Debian %s has %s", needs, release, has)
	}
}

// neededGlibc returns the highest version of GLIBC that a library asks for.
func neededGlibc(t *testing.T, path string) (highest string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatalf("%v: run `make build` before", err)
	}
	defer func() { _ = f.Close() }()
	libraries, err := f.DynamicVersionNeeds()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range libraries {
		for _, need := range library.Needs {
			if v, ok := strings.CutPrefix(need.Dep, "GLIBC_"); ok && (highest == "" || newer(v, highest)) {
				highest = v
			}
		}
	}
	if highest == "" {
		t.Fatalf("%s asks for no version of GLIBC at all", path)
	}
	return highest
}

// newer tells whether version a is above b.
func newer(a, b string) bool {
	var x, y [3]int
	// What a version lacks stays 0.
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"2.36", "2.41", false}, {"2.41", "2.36", true}, {"2.4", "2.36", false}, {"2.2.5", "2.2", true}, {"2.36", "2.36", false}} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("newer(%s, %s) is %v", c.a, c.b, got)
		}
	}
}
