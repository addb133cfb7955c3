// Command fakeengine serves a fake Docker Engine with a few chatty containers.
//
// It is there to try a log collector where there is no Docker.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"fluent-bit-docker-logs/capture/dockertest"
)

func main() {
	socket := flag.String("socket", "/tmp/fakeengine.sock", "`path` of the unix socket")
	containers := flag.Int("containers", 5, "number of containers")
	rate := flag.Float64("rate", 2, "lines per second of each container")
	active := flag.Int("active", -1, "how many containers write at that rate; -1 is all")
	stray := flag.Duration("stray", 0, "a `time` after which one of the others writes a line, in turn; 0 is never")
	dir := flag.String("dir", "", "write real json-files below this `directory`")
	api := flag.String("api", "1.51", "API `version` to speak: 1.41 is Engine 20.10")
	flag.Parse()
	if flag.NArg() > 0 || *containers < 0 || *rate <= 0 || *stray < 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *socket, *dir, *api, *containers, habits{*rate, *active, *stray}); err != nil {
		fmt.Fprintln(os.Stderr, "fakeengine:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, socket, dir, api string, containers int, h habits) error {
	// Retention bounds the memory of a demo that is left running.
	e := dockertest.New(dockertest.WithSocket(socket), dockertest.WithAPIVersion(api, ""), dockertest.WithRetention(10_000))
	if err := e.Serve(); err != nil {
		return err
	}
	defer e.Close()
	cast := newCast(e, containers, dir)
	if h.active < 0 {
		h.active = containers
	}
	fmt.Printf("fake Docker Engine (API %s) with %d containers, %d of them with %g lines/s\n\n", api, containers, h.active, h.rate)
	fmt.Printf("  export DOCKER_HOST=%s\n", e.Host())
	fmt.Printf("  docker ps\n  docker logs -f %s\n", cast.first())
	fmt.Printf("  curl --unix-socket %s http://d/containers/json\n\nCtrl-C ends it.\n", e.Socket())
	cast.chat(ctx, h)
	return nil
}
