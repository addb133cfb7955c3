// Peers measures the plugin beside other agents. They do the same work; it says what that took and whether each line
// came once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/peers"
)

func main() {
	var c peers.Config
	list := func(to *[]string) func(string) error {
		return func(s string) error {
			*to = strings.Split(s, ",")
			return nil
		}
	}
	flag.Func("peers", "`names`, separated by commas, that are compared with ours (default all)", list(&c.Peers))
	flag.Func("works", "`names`, separated by commas: read, json, lone, restart, rotation, idle (default all)", list(&c.Works))
	flag.IntVar(&c.Rounds, "rounds", 3, "`number` of rounds, in each of which every agent does the work once")
	flag.Float64Var(&c.Scale, "scale", 1, "of lines, containers and time; 0.01 for a try")
	out := flag.String("out", "build/peers", "`directory` of the report")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, c, *out); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1)
	}
}

// run writes what was measured, also where it ended early.
func run(ctx context.Context, c peers.Config, out string) error {
	began := time.Now()
	r, err := peers.Run(ctx, c, func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%8s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	})
	if r == nil {
		return err
	}
	fmt.Print(r.Markdown())
	paths, failed := r.Write(out)
	fmt.Fprintln(os.Stderr, "report:", strings.Join(paths, " "))
	return errors.Join(err, failed)
}
