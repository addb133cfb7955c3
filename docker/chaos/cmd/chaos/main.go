// Chaos has real Engines and a real Fluent Bit fail. It runs plans drawn from a seed, and says what is missing,
// doubled, out of order or untrue. Its exit status is 1 when something was found.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/chaos"
)

func main() {
	var c chaos.Config
	flag.Uint64Var(&c.Seed, "seed", 0, "of the first plan; 0 draws one")
	flag.IntVar(&c.Plans, "plans", 0, "`number` of plans on each Engine, instead of -duration")
	flag.DurationVar(&c.Duration, "duration", 10*time.Minute, "plans begin for so long, on each Engine")
	engines := flag.String("engine", "20.10", "`versions` that docker/engine.sh knows, separated by commas; they run beside each other")
	flag.StringVar(&c.Reader, "reader", "", "of all plans, instead of what is drawn")
	file := flag.String("plan", "", "a `file` with a plan, instead of what is drawn")
	flag.IntVar(&c.Shrink, "shrink", 8, "`number` of shorter plans that are tried for each that has found something")
	flag.StringVar(&c.Out, "out", "build/chaos", "`directory` of the report, and of the finds")
	flag.Parse()
	c.Engines = strings.Split(*engines, ",")
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(c, *file); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(c chaos.Config, file string) error {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		c.Plan = &chaos.Plan{}
		if err := json.Unmarshal(text, c.Plan); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	r, err := chaos.Run(ctx, c, func(format string, args ...any) {
		fmt.Printf("%8s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	})
	if r != nil {
		fmt.Printf("\n%s\nreport: %s/report.md\n", r.Tables(), c.Out)
	}
	if err == nil && r.Finds() > 0 {
		err = fmt.Errorf("%d plans found something", r.Finds())
	}
	return err
}
