// Soak has numbered lines of containers captured for a while. It says whether anything leaked, stalled or went
// missing. It writes a report; its exit status is 1 when a criterion does not hold.
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

	"fluent-bit-docker-logs/docker/debian"
	"fluent-bit-docker-logs/docker/soak"
)

func main() {
	var c soak.Config
	flag.DurationVar(&c.Duration, "duration", 0, "how long, from the moment when all streams run (default 30m)")
	flag.IntVar(&c.Containers, "containers", 0, "`number` of containers that write (default 8)")
	flag.IntVar(&c.Checkpoints, "checkpoints", 0, "`number` of checkpoints (default 15)")
	flag.DurationVar(&c.Rotate, "rotate", 0, "Rotate_Interval (default a thirtieth of -duration, at most 30s)")
	flag.Float64Var(&c.Rate, "rate", 0, "`lines` per second of each of a container's two std streams (default 20)")
	flag.BoolVar(&c.Fake, "fake", false, "use the fake Engine even where there is a real one")
	out := flag.String("out", "docker/soak/report", "`directory` of the report")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, c, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || !ok {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, c soak.Config, out string) (ok bool, err error) {
	show := soak.NewProgress(os.Stdout)
	r, err := soak.Run(ctx, c, show)
	if err != nil {
		return false, err
	}
	paths, err := r.Write(out)
	if err != nil {
		return false, err
	}
	for _, path := range paths {
		if !strings.HasSuffix(path, ".html") {
			continue
		}
		png, err := soak.Screenshot(context.WithoutCancel(ctx), path)
		if errors.Is(err, debian.ErrAbsent) {
			show.Say("no screenshots: %v", err)
			break
		} else if err != nil {
			return false, err
		}
		paths = append(paths, png)
	}
	show.Verdict(r)
	show.Say("report: %s", strings.Join(paths, " "))
	return r.Passed(), nil
}
