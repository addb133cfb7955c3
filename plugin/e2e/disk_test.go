package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// TestDiskOfTheChunks: Fluent Bit tells nobody where its chunks are, and counts what it cannot write; so the disk is seen
// where a chunk is open, and said before it is full.
func TestDiskOfTheChunks(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Name: "web"})
	listen := freeAddress(t)
	r := newConfigured(t, needFluentBit(t), `
service: {flush: 0.2, grace: 1, storage.path: st}
pipeline:
  inputs:
    - {name: docker_logs, docker_host: '`+e.Host()+`', reader: follow, tag: docker, db: db.json, start_from: beginning, metrics_listen: '`+listen+`', storage.type: filesystem}
  outputs:
    - {name: http, match: '*', host: 127.0.0.1, port: 1, retry_limit: no_limits}
`, "0")
	disk := filepath.Join(r.dir, "st")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("cannot mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(disk, "other"), make([]byte, 15700<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	numbered(t, c, 1000, 50)
	eventually(t, 30*time.Second, "/readyz names the disk", func() bool {
		code, why := get(t, "http://"+listen+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(why, "a disk is nearly full: "+disk)
	})
	_, text := get(t, "http://"+listen+"/metrics")
	if !regexp.MustCompile(`log_capturer_disk_size_bytes\{.*of="storage"\} 1\.6777216e\+07`).MatchString(text) {
		t.Errorf("the disk of the chunks is not measured\n%s", text)
	}
	_ = r.end(syscall.SIGTERM)
}
