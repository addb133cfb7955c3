package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// actor is one container and what it says.
type actor struct {
	name, image, service string
	tty                  bool
	line                 func(n int) string
}

var actors = []actor{
	{"shop-web-1", "nginx:1.27", "web", false, func(n int) string {
		return fmt.Sprintf(`10.0.%d.%d - - "GET /cart/%d HTTP/1.1" 200 %d`, rand.IntN(256), rand.IntN(256), n, rand.IntN(9000))
	}},
	{"shop-api-1", "ghcr.io/shop/api:2.4.1", "api", false, func(n int) string {
		return fmt.Sprintf(`{"level":"info","msg":"order placed","order":%d,"total":"%d,90 €","customer":"Zoë Świątek"}`, n, rand.IntN(500))
	}},
	{"shop-db-1", "postgres:17", "db", false, func(n int) string {
		return fmt.Sprintf("LOG:  checkpoint complete: wrote %d buffers; 日本語テキスト", n)
	}},
	{"shop-worker-1", "ghcr.io/shop/worker:2.4.1", "worker", false, func(n int) string {
		if n%20 == 19 {
			return fmt.Sprintf("job %d dump: %s", n, strings.Repeat("0123456789abcdef", 40<<10/16))
		}
		return fmt.Sprintf("job %d done in %d ms", n, rand.IntN(900))
	}},
	{"console", "alpine:3.20", "", true, func(n int) string {
		return fmt.Sprintf("\x1b[32m/ #\x1b[0m echo %d", n)
	}},
}

// cast is the running containers. Those beyond the actors repeat them under other names.
type cast struct {
	ctrs  []*dockertest.Ctr
	lines []func(int) string
}

func newCast(e *dockertest.Engine, n int, dir string) *cast {
	c := &cast{}
	for i := range n {
		a := actors[i%len(actors)]
		name := a.name
		if round := i / len(actors); round > 0 {
			name = fmt.Sprintf("%s-%d", strings.TrimSuffix(name, "-1"), round+1)
		}
		labels := map[string]string{}
		if a.service != "" {
			labels["com.docker.compose.project"] = "shop"
			labels["com.docker.compose.service"] = a.service
			labels["com.docker.compose.container-number"] = fmt.Sprint(i/len(actors) + 1)
		}
		c.ctrs = append(c.ctrs, e.Run(dockertest.Container{Name: name, Image: a.image, Labels: labels, TTY: a.tty, LogDir: dir}))
		c.lines = append(c.lines, a.line)
	}
	return c
}

func (c *cast) first() string {
	if len(c.ctrs) == 0 {
		return "NAME"
	}
	return c.ctrs[0].Name()
}

// habits is who writes how much.
type habits struct {
	rate   float64 // lines a second of each active container
	active int     // containers, the first ones
	stray  time.Duration
}

// chat writes until ctx ends. Every seventh line goes to stderr.
func (c *cast) chat(ctx context.Context, h habits) {
	// Fast rates are written in bursts: a ticker is not exact below a few milliseconds.
	const shortest = 10 * time.Millisecond
	every := max(shortest, time.Duration(float64(time.Second)/h.rate))
	tick := time.NewTicker(every)
	defer tick.Stop()
	strays := make(<-chan time.Time)
	if quiet := len(c.ctrs) - h.active; h.stray > 0 && quiet > 0 {
		t := time.NewTicker(h.stray)
		defer t.Stop()
		strays = t.C
	}
	start, said, strayed := time.Now(), 0, 0
	for i := h.active; i < len(c.ctrs); i++ {
		c.say(i, 0)
	}
	for {
		for due := 1 + int(time.Since(start).Seconds()*h.rate); said < due; said++ {
			for i := range c.ctrs[:h.active] {
				c.say(i, said)
			}
		}
		select {
		case <-tick.C:
		case <-strays:
			// A step that is prime to most numbers, so that neighbours do not come one after the other.
			strayed++
			c.say(h.active+strayed*7919%(len(c.ctrs)-h.active), strayed)
		case <-ctx.Done():
			return
		}
	}
}

// say has the i-th container write its n-th line.
func (c *cast) say(i, n int) {
	if n%7 == 6 {
		c.ctrs[i].Stderr("warning: " + c.lines[i](n))
	} else {
		c.ctrs[i].Stdout(c.lines[i](n))
	}
}
