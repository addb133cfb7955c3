package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// OwnEngine is an Engine that a test has for itself and may harm.
type OwnEngine struct {
	*Engine
	state string
}

// Own starts an Engine for this test alone, and stops it when the test ends.
// The test is skipped only where no Engine can be had.
func Own(t testing.TB) *OwnEngine {
	t.Helper()
	First(t)                                 // installs what is needed, or skips
	state, err := os.MkdirTemp("", "engine") //nolint:usetesting // a socket's path must be short, and t.TempDir's is not
	if err != nil {
		t.Fatal(err)
	}
	o := &OwnEngine{state: state}
	t.Cleanup(func() {
		if o.Engine != nil {
			_ = o.Close()
		}
		o.script(t, "down")
		_ = os.RemoveAll(state)
	})
	o.script(t, "up")
	if o.Engine, err = Dial(t.Context(), "unix://"+filepath.Join(state, "docker-logs-test", "debian", "docker.sock")); err != nil {
		t.Fatal(err)
	}
	return o
}

// Restart stops and starts dockerd, and the containers with it.
func (o *OwnEngine) Restart(t testing.TB) {
	t.Helper()
	o.script(t, "restart")
}

func (o *OwnEngine) script(t testing.TB, command string) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(root, "docker", "engine.sh"), command)
	cmd.Env = append(os.Environ(), "ENGINE_OWN=1", "XDG_STATE_HOME="+o.state)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker/engine.sh %s: %v\n%s", command, err, out)
	}
}
