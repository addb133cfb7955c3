// Package enginetest runs real containers on a real Docker Engine. They are of loggen, for tests and for the
// demonstration.
//
// The Engines are those that docker/engine.sh finds or starts; ENGINE names their versions. Every container carries the label [Label] with the number
// of the process that made it, and is removed when its test ends.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/client"
)

// Label marks what this package created, on containers and images.
const Label = "docker-logs-test"

// Engine is a Docker Engine that answers, with its client.
type Engine struct {
	*client.Client
	Host    string // DOCKER_HOST form
	Version string // as the Engine says, e.g. 20.10.24
}

// ErrNoEngine says that no Engine can be had on this machine.
var ErrNoEngine = errors.New("no Docker Engine can be had here")

// unavailable is engine.sh's exit status for that.
const unavailable = 3

// Root returns the directory of the module. It is looked for from the working
// directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// Up returns the Engine of `docker/engine.sh up ARGS`. Messages of that go to standard error. The error is
// [ErrNoEngine] where none can be had.
func Up(ctx context.Context, args ...string) (*Engine, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(root, "docker", "engine.sh"), append([]string{"up"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == unavailable {
			return nil, ErrNoEngine
		}
		return nil, fmt.Errorf("docker/engine.sh up: %w", err)
	}
	return Dial(ctx, strings.TrimSpace(out.String()))
}

// Dial connects to the Engine at host.
func Dial(ctx context.Context, host string) (*Engine, error) {
	c, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", host, err)
	}
	v, err := c.ServerVersion(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("version of the Engine at %s: %w", host, err), c.Close())
	}
	return &Engine{Client: c, Host: host, Version: v.Version}, nil
}

// script runs docker/engine.sh for what it prints.
func script(args ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	out, err := exec.Command(filepath.Join(root, "docker", "engine.sh"), args...).Output()
	return string(out), err
}

// wanted returns the versions to test on: those that ENGINE names, separated by commas, or all. By default they are the
// Engine that engine.sh finds or starts ("") and the current one where it was built before.
func wanted() ([]string, error) {
	switch names := os.Getenv("ENGINE"); names {
	case "":
		versions := []string{""}
		if _, err := script("built", "--version", "29"); err == nil {
			versions = append(versions, "29")
		}
		return versions, nil
	case "all":
		out, err := script("versions")
		return strings.Fields(out), err
	default:
		return strings.Split(names, ","), nil
	}
}

// found is shared by a test binary: engine.sh is asked once, when the first test needs an Engine.
var found struct {
	once    sync.Once
	engines []*Engine
	err     error
}

func find() (engines []*Engine, err error) {
	versions, err := wanted()
	for _, v := range versions {
		var args []string
		if v != "" {
			args = []string{"--version", v}
		}
		e, err := Up(context.Background(), args...)
		if err != nil {
			return engines, err
		}
		engines = append(engines, e)
	}
	return engines, err
}

// All returns the Engines to test on. There is one for each version that ENGINE names. By default they are the one
// that engine.sh finds or starts, and the current one where it was built. The test is skipped only where no Engine
// can be had.
func All(t testing.TB) []*Engine {
	t.Helper()
	found.once.Do(func() { found.engines, found.err = find() })
	if errors.Is(found.err, ErrNoEngine) {
		t.Skip(found.err)
	}
	if found.err != nil {
		t.Fatal(found.err)
	}
	return found.engines
}

// First returns the first of [All].
func First(t testing.TB) *Engine {
	t.Helper()
	return All(t)[0]
}

// M runs tests and then lets go of the Engines' connections. So goleak sees none of them:
//
//	goleak.VerifyTestMain(enginetest.M{M: m})
type M struct{ *testing.M }

// Run runs the tests and returns the binary's exit status.
func (m M) Run() int {
	status := m.M.Run()
	for _, e := range found.engines {
		if err := e.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "close the client of %s: %v\n", e.Host, err)
		}
	}
	return status
}
