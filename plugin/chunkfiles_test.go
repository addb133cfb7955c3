package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A chunk of this input, made by this process since it began, shows that chunks
// are files; nothing else does.
func TestChunkFiles(t *testing.T) {
	began := time.Unix(1700000000, 5)
	pid := os.Getpid()
	for _, c := range []struct {
		path string
		want bool
	}{
		{fmt.Sprintf("/st/web/%d-1700000001.12.flb", pid), true},
		{fmt.Sprintf("/st/web/%d-1700000000.   6.flb", pid), true},
		{fmt.Sprintf("/st/web/%d-1700000000.   4.flb", pid), false},
		{fmt.Sprintf("/st/web/%d-1600000000.12.flb", pid), false},
		{fmt.Sprintf("/st/web/%d-1700000001.12.flb", pid+1), false},
		{fmt.Sprintf("/st/other/%d-1700000001.12.flb", pid), false},
		{fmt.Sprintf("/st/web/%d-1700000001.12.log", pid), false},
		{"/st/web/x.flb", false},
		{"pipe:[7]", false},
	} {
		files := chunkFiles{fds: t.TempDir(), input: "web", began: began}
		if err := os.Symlink(c.path, filepath.Join(files.fds, strconv.Itoa(3))); err != nil {
			t.Fatal(err)
		}
		if got := files.look(); got != c.want {
			t.Errorf("%s: %v", c.path, got)
		}
		if err := os.Remove(filepath.Join(files.fds, "3")); err != nil {
			t.Fatal(err)
		}
		if got := files.look(); got != c.want {
			t.Errorf("%s: %v when it is closed", c.path, got)
		}
	}
}
