package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
)

// Options says how a container is to run. Args are loggen's flags.
type Options struct {
	Name       string // empty: the Engine chooses
	Args       []string
	TTY        bool
	AutoRemove bool
	Retries    int // by a restart policy, when it fails
	Labels     map[string]string
	LogDriver  string // empty: json-file
	LogOpts    map[string]string
	Env        []string // NAME=value
	Binds      []string // DIR:PATH
}

// Create makes a container of loggen without starting it.
func (e *Engine) Create(ctx context.Context, o Options) (string, error) {
	ref, err := e.Image(ctx)
	if err != nil {
		return "", err
	}
	labels := map[string]string{Label: strconv.Itoa(os.Getpid())}
	maps.Copy(labels, o.Labels)
	driver := o.LogDriver
	if driver == "" {
		driver = "json-file"
	}
	created, err := e.ContainerCreate(ctx,
		&container.Config{Image: ref, Cmd: o.Args, Tty: o.TTY, Env: o.Env, Labels: labels},
		&container.HostConfig{
			// Loggen talks to nobody, and an Engine started by engine.sh has no bridge.
			NetworkMode: "none",
			// An Engine built without libseccomp refuses its own default profile.
			SecurityOpt:   []string{"seccomp=unconfined"},
			AutoRemove:    o.AutoRemove,
			Binds:         o.Binds,
			RestartPolicy: restarts(o.Retries),
			LogConfig:     container.LogConfig{Type: driver, Config: o.LogOpts},
		}, nil, nil, o.Name)
	if err != nil {
		return "", fmt.Errorf("create container %s: %w", o.Name, err)
	}
	return created.ID, nil
}

func restarts(n int) container.RestartPolicy {
	if n == 0 {
		return container.RestartPolicy{}
	}
	return container.RestartPolicy{Name: container.RestartPolicyOnFailure, MaximumRetryCount: n}
}

// Container is a container of a test. Its methods fail the test when the Engine refuses.
type Container struct {
	ID, Name string
	engine   *Engine
	t        testing.TB
	tty      bool
}

// limit bounds every request of a test to the Engine.
const limit = 5 * time.Minute

// Run starts a container, and removes it when the test ends.
func (e *Engine) Run(t testing.TB, o Options) *Container {
	t.Helper()
	c := e.New(t, o)
	c.Start()
	return c
}

// New creates a container, and removes it when the test ends. It is not started.
func (e *Engine) New(t testing.TB, o Options) *Container {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	id, err := e.Create(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	c := &Container{ID: id, Name: o.Name, engine: e, t: t, tty: o.TTY}
	t.Cleanup(func() { _ = c.remove() })
	return c
}

// do runs one request under the limit and fails the test on an error.
func (c *Container) do(what string, request func(ctx context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := request(ctx); err != nil {
		c.t.Fatalf("%s container %s: %v", what, c.ID[:12], err)
	}
}

// Start starts it, for the first time or again.
func (c *Container) Start() {
	c.t.Helper()
	c.do("start", func(ctx context.Context) error {
		return c.engine.ContainerStart(ctx, c.ID, container.StartOptions{})
	})
}

// Stop stops it with SIGTERM.
func (c *Container) Stop() {
	c.t.Helper()
	c.do("stop", func(ctx context.Context) error {
		return c.engine.ContainerStop(ctx, c.ID, container.StopOptions{})
	})
}

// Restart stops and starts it.
func (c *Container) Restart() {
	c.t.Helper()
	c.do("restart", func(ctx context.Context) error {
		return c.engine.ContainerRestart(ctx, c.ID, container.StopOptions{})
	})
}

// Kill sends signal, e.g. SIGKILL.
func (c *Container) Kill(signal string) {
	c.t.Helper()
	c.do("kill", func(ctx context.Context) error { return c.engine.ContainerKill(ctx, c.ID, signal) })
}

// Rename gives it a new name.
func (c *Container) Rename(name string) {
	c.t.Helper()
	c.do("rename", func(ctx context.Context) error { return c.engine.ContainerRename(ctx, c.ID, name) })
	c.Name = name
}

// Remove removes it, running or not.
func (c *Container) Remove() {
	c.t.Helper()
	c.do("remove", func(context.Context) error { return c.remove() })
}

func (c *Container) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return c.engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
}

// Wait returns the exit status once it does not run.
func (c *Container) Wait() int {
	c.t.Helper()
	var status int64
	c.do("wait for", func(ctx context.Context) error {
		results, errs := c.engine.ContainerWait(ctx, c.ID, container.WaitConditionNotRunning)
		select {
		case r := <-results:
			status = r.StatusCode
			if r.Error != nil {
				return errors.New(r.Error.Message)
			}
			return nil
		case err := <-errs:
			return err
		}
	})
	return int(status)
}
