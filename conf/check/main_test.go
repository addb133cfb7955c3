package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every example is in order, with and without an address for the metrics.
func TestExamples(t *testing.T) {
	for _, pattern := range []string{"*.yaml", "*.conf"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) < 7 {
			t.Fatalf("%d files %s: %v", len(files), pattern, err)
		}
		for _, file := range files {
			n, err := check(withoutDB(t, file))
			if name := filepath.Base(file); err != nil || (n == 0) != (name == "plugins.conf" || name == "docker_logs_parsers.conf") {
				t.Errorf("%s: %d inputs, %v", name, n, err)
			}
		}
	}
}

// withoutDB copies an example; the directory of its DB need not exist here.
func withoutDB(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Base(file), strings.ReplaceAll(string(b), "/var/lib/fluent-bit/", t.TempDir()+"/"))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A value that is not allowed is found in both formats, wherever it comes from.
func TestValuesAreChecked(t *testing.T) {
	t.Setenv("POLL", "1parsec")
	included := write(t, "more.conf", "[INPUT]\n    Name docker_logs\n    Alias second\n    Task_Timeout 1s\n")
	for name, test := range map[string]struct{ text, want string }{
		"a.conf": {"[SERVICE]\n  Flush 1\n[INPUT]\n  name docker_logs\n  reader magic\n[OUTPUT]\n  Name stdout\n", `option Reader: value "magic"`},
		"b.conf": {"@SET when=yesterday\n[INPUT]\n\tName\tdocker_logs\n\tStart_From ${when}\n", `option Start_From: value "yesterday"`},
		"c.conf": {"[INPUT]\n  Name docker_logs\n@INCLUDE " + included + "\n", `input second: option Task_Timeout`},
		"d.conf": {"[INPUT]\n  Name docker_logs\n  Inlcude web\n", "there is no option inlcude"},
		"e.conf": {"@INCLUDE nowhere*.conf\n", "no such file"},
		"a.yaml": {"pipeline:\n  inputs:\n    - name: dummy\n      reader: x\n    - name: docker_logs\n      poll_max: ${POLL}\n", `option Poll_Max: value "1parsec"`},
		"b.yaml": {"env:\n  R: magic\npipeline:\n  inputs:\n    - name: docker_logs\n      reader: ${R}\n", `option Reader: value "magic"`},
		"c.yaml": {"includes:\n  - " + included + "\n", `input second: option Task_Timeout`},
		"d.yaml": {"pipeline: [", "d.yaml"},
		"e.yaml": {"pipeline:\n  inputs:\n    - name: docker_logs\n      include: [\"'web'\", db]\n", "quotes"},
	} {
		if _, err := check(write(t, name, test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	n, err := check(write(t, "good.yaml", "pipeline:\n  inputs:\n    - {name: docker_logs, tag: a, mem_buf_limit: 5M, storage.type: filesystem}\n    - {name: docker_logs, alias: b}\n    - {name: tail}\n"))
	if err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
}
