package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// OwnEngine is a test's own Engine, which it may harm.
type OwnEngine struct {
	*Engine
	state   string
	version string // docker/engine.sh's
}

// Own starts an Engine for this test alone. It is stopped when the test ends.
// The test is skipped only where no Engine can be had.
func Own(t testing.TB) *OwnEngine {
	t.Helper()
	First(t) // installs what is needed, or skips
	o, err := StartOwn(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Down(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// StartOwn starts an Engine beside any other. Its version is one that docker/engine.sh knows; "" is Debian's. Its data
// root is a file system of its own, in memory, of so many bytes (disk); 0: it is on that of this machine. Whoever starts
// it calls Down. The error is [ErrNoEngine] where none can be had.
func StartOwn(ctx context.Context, version string, disk int64) (*OwnEngine, error) {
	state, err := os.MkdirTemp("", "engine") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	o := &OwnEngine{state: state, version: version}
	if disk > 0 {
		if err := errors.Join(os.MkdirAll(o.Data(), 0o711), syscall.Mount("engine", o.Data(), "tmpfs", 0, fmt.Sprintf("size=%d", disk))); err != nil {
			return nil, errors.Join(err, os.RemoveAll(state))
		}
	}
	if err := o.Up(ctx); err != nil {
		_ = o.Down()
		return nil, err
	}
	if o.Engine, err = Dial(ctx, "unix://"+filepath.Join(o.dir(), "docker.sock")); err != nil {
		_ = o.Down()
		return nil, err
	}
	return o, nil
}

// dir is where docker/engine.sh keeps what belongs to this Engine.
func (o *OwnEngine) dir() string {
	version := o.version
	if version == "" || version == "20.10" {
		version = "debian"
	}
	return filepath.Join(o.state, "docker-logs-test", version)
}

// Data is the Engine's data root.
func (o *OwnEngine) Data() string { return filepath.Join(o.dir(), "data") }

// Containers is where the Engine keeps a directory of each container.
func (o *OwnEngine) Containers() string { return filepath.Join(o.Data(), "containers") }

// Restart stops and starts dockerd, and the containers with it.
func (o *OwnEngine) Restart(t testing.TB) {
	t.Helper()
	if err := o.StopStart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// StopStart is Restart outside of a test.
func (o *OwnEngine) StopStart(ctx context.Context) error { return o.script(ctx, "restart") }

// Up makes sure that dockerd runs, and answers.
func (o *OwnEngine) Up(ctx context.Context) error { return o.script(ctx, "up") }

// PID is dockerd's process id.
func (o *OwnEngine) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(o.dir(), "dockerd.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// Signal sends dockerd a signal.
func (o *OwnEngine) Signal(sig syscall.Signal) error {
	pid, err := o.PID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// Down stops the Engine and removes all that belongs to it.
func (o *OwnEngine) Down() error {
	if o.Engine != nil {
		_ = o.Close()
	}
	err := o.script(context.Background(), "down")
	_ = os.RemoveAll(o.state)
	return err
}

func (o *OwnEngine) script(ctx context.Context, command string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "docker", "engine.sh"), command)
	if o.version != "" {
		cmd.Args = append(cmd.Args, "--version", o.version)
	}
	cmd.Env = append(os.Environ(), "ENGINE_OWN=1", "XDG_STATE_HOME="+o.state)
	// Ctrl-C, pressed again because the end takes its time, must not leave half of it running.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: command == "down"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == unavailable {
		return ErrNoEngine
	}
	if err != nil {
		return fmt.Errorf("docker/engine.sh %s: %w\n%s", command, err, out)
	}
	return nil
}
