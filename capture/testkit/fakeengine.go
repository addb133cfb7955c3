package testkit

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// FakeEngine starts the program of the fake Engine. What it uses is not counted as ours.
func FakeEngine(b *testing.B, args ...string) (host string) {
	dir, err := os.MkdirTemp("", "scale") //nolint:usetesting // a socket's path must be short, and b.TempDir's is not
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, socket := filepath.Join(dir, "fakeengine"), filepath.Join(dir, "s")
	if out, err := exec.Command("go", "build", "-o", program, "fluent-bit-docker-logs/capture/dockertest/cmd/fakeengine").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"-socket", socket}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	buf := make([]byte, 1)
	if _, err := io.ReadFull(out, buf); err != nil { // it prints when its containers are there
		b.Fatal(err)
	}
	return "unix://" + socket
}
