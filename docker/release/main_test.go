package main

import (
	"debug/buildinfo"
	"strings"
	"testing"
)

// TestLicenses: each module that is in the plugin has its license among those that are printed.
func TestLicenses(t *testing.T) {
	info, err := buildinfo.ReadFile("../../build/in_docker_logs.so")
	if err != nil {
		t.Fatalf("%v: run `make build` before", err)
	}
	var b strings.Builder
	if err := run(&b, ""); err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) == 0 {
		t.Fatal("the plugin names no modules")
	}
	for _, m := range info.Deps {
		if !strings.Contains(b.String(), "\n"+m.Path+" "+m.Version+"\n") {
			t.Errorf("%s %s has no license", m.Path, m.Version)
		}
	}
	for _, text := range []string{"Go, its runtime", "Apache License", "Permission is hereby granted"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("%q is missing", text)
		}
	}
}
