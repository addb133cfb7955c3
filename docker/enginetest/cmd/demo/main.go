// Demo gives a newcomer something to see. Where no container runs on an Engine, it starts one that writes a few lines
// a second, and removes it when it is told to end by SIGTERM or SIGINT. Once containers run it prints whose they are:
// theirs or ours.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/docker/enginetest"
)

func main() {
	host := flag.String("host", "", "the Engine's `DOCKER_HOST`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *host); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, host string) error {
	e, err := enginetest.Dial(ctx, host)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	running, err := e.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return err
	}
	if len(running) > 0 {
		fmt.Fprintf(os.Stderr, "run: containers that run: %d; their new lines follow\n", len(running))
		fmt.Println("theirs")
		return nil
	}
	id, err := e.Create(ctx, enginetest.Options{
		Args: []string{"-run=hello", "-std=both", "-lines=1000000", "-rate=2", "-size=60", "-payload=utf8"},
		Labels: map[string]string{
			"com.docker.compose.project": "demo",
			"com.docker.compose.service": "hello",
		},
	})
	if err != nil {
		return err
	}
	// The context may be done by then, and the container has to go all the same.
	defer func() {
		_ = e.ContainerRemove(context.WithoutCancel(ctx), id, container.RemoveOptions{Force: true})
	}()
	if err := e.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start the demonstration's container: %w", err)
	}
	fmt.Fprintln(os.Stderr, "run: no container ran, so one was started that writes a few lines a second; it is removed at the end")
	fmt.Println("ours")
	<-ctx.Done()
	return nil
}
