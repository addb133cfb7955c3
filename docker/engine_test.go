package docker_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"fluent-bit-docker-logs/docker/enginetest"
)

// TestEngineAfterACrash: what `up` starts waits for the containerd that it has started, not for the socket that one has left
// which was killed. Engine 29 ends where that does not answer at once; the dockerd here does too.
func TestEngineAfterACrash(t *testing.T) {
	enginetest.First(t) // installs what is needed, or skips
	state := t.TempDir()
	dir, bin := filepath.Join(state, "docker-logs-test", "debian"), t.TempDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "containerd.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]string{
		"containerd": "sleep 1",
		"dockerd":    "curl -s -o /dev/null --unix-socket " + socket + " http://containerd; [ $? != 7 ] || exit 1",
	} {
		program, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		wrapper := "#!/bin/sh\n" + before + "\nexec " + program + ` "$@"` + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(wrapper), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"ENGINE_OWN=1", "XDG_STATE_HOME=" + state, "PATH=" + bin + ":" + os.Getenv("PATH")}
	t.Cleanup(func() {
		down := exec.Command("docker/engine.sh", "down") // the test's context has ended
		down.Dir, down.Env = "..", append(os.Environ(), env...)
		run(t, down)
	})
	if host, want := run(t, script(t, env, "docker/engine.sh", "up")), "unix://"+filepath.Join(dir, "docker.sock"); host != want {
		t.Errorf("the Engine answers at %q, want %q", host, want)
	}
}
