package enginetest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/docker/docker/api/types/container"
)

// What a program needs that is no test: whoever launches a container drops it.

// Launch creates and starts a container and returns its id.
func (e *Engine) Launch(ctx context.Context, o Options) (string, error) {
	id, err := e.Create(ctx, o)
	if err != nil {
		return "", err
	}
	if err := e.Begin(ctx, id); err != nil {
		return id, fmt.Errorf("start container %s: %w", o.Name, err)
	}
	return id, nil
}

// Begin starts a container, for the first time or again.
func (e *Engine) Begin(ctx context.Context, id string) error {
	return e.ContainerStart(ctx, id, container.StartOptions{})
}

// Await waits until a container does not run.
func (e *Engine) Await(ctx context.Context, id string) error {
	done, errs := e.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case <-done:
		return nil
	case err := <-errs:
		return err
	}
}

// End stops a container with SIGTERM; its log stays.
func (e *Engine) End(ctx context.Context, id string) error {
	return e.ContainerStop(ctx, id, container.StopOptions{})
}

// Drop removes a container, running or not.
func (e *Engine) Drop(ctx context.Context, id string) error {
	return e.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
}

// Tail returns at most n last records of a container's log. Pieces of long lines are joined. It must not have a TTY.
func (e *Engine) Tail(ctx context.Context, id string, n int) ([]Line, error) {
	c := Container{ID: id, engine: e}
	b, err := c.fetch(ctx, true, fmt.Sprint(n))
	if err != nil {
		return nil, err
	}
	return parseFrames(bytes.NewReader(b))
}
