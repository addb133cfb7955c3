package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// PodmanEngine is a test's own Podman. It has the socket that speaks Docker's API.
type PodmanEngine struct {
	*Engine
	dir     string
	service *exec.Cmd
}

// podmanConf makes it run where there is neither systemd nor a network. The limits are what a container may have without more rights than the
// test itself.
const podmanConf = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "%s"
`

// Podman starts one with a root of its own. All of it is removed when the test ends. The test is skipped where there
// is none, with what is missing.
func Podman(t testing.TB) *PodmanEngine {
	t.Helper()
	if _, err := exec.LookPath("podman"); err != nil {
		t.Skip("no Podman here (Debian: apt-get install --no-install-recommends podman runc)")
	}
	if os.Getuid() != 0 {
		t.Skip("Podman is tried as root only")
	}
	runtime := "crun"
	if _, err := exec.LookPath("runc"); err == nil { // which runs under more kinds of cgroups
		runtime = "runc"
	}
	dir, err := os.MkdirTemp("", "pod") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &PodmanEngine{dir: dir}
	t.Cleanup(func() {
		_ = p.command("rm", "--all", "--force", "--time", "0").Run()
		p.stop()
		_ = os.RemoveAll(dir)
	})
	if err := os.WriteFile(filepath.Join(dir, "conf"), fmt.Appendf(nil, podmanConf, runtime), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.runs(t.Context()); err != nil {
		t.Skipf("Podman runs no container here: %v", err)
	}
	return p
}

// runs says whether it can run a container here.
func (p *PodmanEngine) runs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := p.Launch(ctx, Options{Args: []string{"-lines=1"}}) // what is left of it goes with all the others
	return err
}

func (p *PodmanEngine) command(args ...string) *exec.Cmd {
	cmd := exec.Command("podman", append([]string{"--root", p.dir + "/root", "--runroot", p.dir + "/run", "--tmpdir", p.dir + "/tmp", "--storage-driver", "vfs"}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+p.dir+"/conf")
	return cmd
}

// start starts the service, whose end no container minds.
func (p *PodmanEngine) start(ctx context.Context) error {
	socket := filepath.Join(p.dir, "sock")
	_ = os.Remove(socket)
	var said bytes.Buffer
	p.service = p.command("system", "service", "--time=0", "unix://"+socket)
	p.service.Stderr = &said
	if err := p.service.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(limit); ; {
		e, err := Dial(ctx, "unix://"+socket)
		if err == nil {
			p.Engine = e
			return nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("podman does not answer: %w\n%s", err, said.String())
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (p *PodmanEngine) stop() {
	if p.Engine != nil {
		_ = p.Close()
		p.Engine = nil
	}
	if p.service != nil {
		_ = p.service.Process.Signal(syscall.SIGTERM)
		_ = p.service.Wait()
		p.service = nil
	}
}

// Restart stops and starts the service. The containers run on.
func (p *PodmanEngine) Restart(t testing.TB) {
	t.Helper()
	p.stop()
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
