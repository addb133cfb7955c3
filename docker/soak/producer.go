package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
	"fluent-bit-docker-logs/docker/enginetest"
)

// producer is an Engine with the containers of a run. Half of them, the even ones, are read by following the API, the others
// from their files: names says which.
type producer interface {
	// about is the Engine in a few words, host its DOCKER_HOST.
	about() string
	host() string
	// start starts n containers that write until stop.
	start(ctx context.Context, n int) error
	// names gives the name of each container by its id.
	names() map[string]string
	// stop ends the containers and says how many lines each has written.
	stop(ctx context.Context) (map[Key]int, error)
	// remove takes the containers away.
	remove(ctx context.Context) error
}

// load is what each container writes.
type load struct {
	run  string  // the first word of each line, and of each container's name
	rate float64 // lines per second and std stream
}

// How the lines of a container look: now and then one is longer than the 16 KiB that the Engine keeps in one piece.
const (
	lineSize  = 120
	longLine  = 20_000
	longEvery = 200
)

var stds = []string{"stdout", "stderr"}

// readers is how the logs are read, of container i by readers[i%len(readers)]: both readers that keep a log open, since
// only what is open is rotated.
var readers = []string{"follow", "file"}

// name is that of container i.
func (l load) name(i int) string { return fmt.Sprintf("%s-%s-%d", l.run, readers[i%len(readers)], i) }

// newProducer finds a real Engine; where none can be had, or fake is asked for, it makes a fake one.
func newProducer(ctx context.Context, dir string, fake bool, l load) (producer, error) {
	if !fake {
		e, err := enginetest.Up(ctx)
		if err == nil {
			return &realProducer{load: l, engine: e, byID: map[string]string{}}, nil
		}
		if !errors.Is(err, enginetest.ErrNoEngine) {
			return nil, err
		}
	}
	// What was read long ago need not be kept in memory.
	e := dockertest.New(dockertest.WithRetention(20_000))
	if err := e.Serve(); err != nil {
		return nil, err
	}
	return &fakeProducer{load: l, engine: e, dir: dir}, nil
}

// realProducer runs loggen on a Docker Engine.
type realProducer struct {
	load
	engine *enginetest.Engine
	byID   map[string]string
}

func (p *realProducer) about() string            { return "Docker Engine " + p.engine.Version }
func (p *realProducer) host() string             { return p.engine.Host }
func (p *realProducer) names() map[string]string { return p.byID }

func (p *realProducer) start(ctx context.Context, n int) error {
	for i := range n {
		id, err := p.engine.Launch(ctx, enginetest.Options{Name: p.name(i), Args: []string{
			"-run=" + p.run, "-std=both", "-lines=2000000000", fmt.Sprintf("-rate=%g", p.rate),
			fmt.Sprintf("-size=%d", lineSize), fmt.Sprintf("-long=%d", longLine), fmt.Sprintf("-every=%d", longEvery),
		}})
		if id != "" {
			p.byID[id] = p.name(i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *realProducer) stop(ctx context.Context) (map[Key]int, error) {
	written := map[Key]int{}
	var mu sync.Mutex
	err := p.each(func(id string) error {
		if err := p.engine.End(ctx, id); err != nil {
			return err
		}
		// Both std streams write as fast as each other, so the last lines hold the last of each.
		lines, err := p.engine.Tail(ctx, id, 100)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, l := range lines {
			if words := strings.SplitN(l.Text, " ", 4); len(words) == 4 {
				if n, err := strconv.Atoi(words[2]); err == nil {
					written[Key{id, l.Std}] = n
				}
			}
		}
		for _, std := range stds {
			if written[Key{id, std}] == 0 {
				return fmt.Errorf("the log of container %s has no line of %s at its end", p.byID[id], std)
			}
		}
		return nil
	})
	return written, err
}

func (p *realProducer) remove(ctx context.Context) error {
	return errors.Join(p.each(func(id string) error { return p.engine.Drop(ctx, id) }), p.engine.Close())
}

// each runs f for all containers at the same time.
func (p *realProducer) each(f func(id string) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.byID))
	i := 0
	for id := range p.byID {
		slot := &errs[i]
		i++
		wg.Go(func() { *slot = f(id) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fakeProducer has containers of the fake Engine, and writes their lines itself.
type fakeProducer struct {
	load
	engine *dockertest.Engine
	dir    string // of the log files
	ctrs   []*dockertest.Ctr

	quit    func()
	writing sync.WaitGroup
	lines   int // that each std stream of each container has; read after writing
}

func (p *fakeProducer) about() string { return "a fake Docker Engine" }
func (p *fakeProducer) host() string  { return p.engine.Host() }

func (p *fakeProducer) names() map[string]string {
	m := map[string]string{}
	for _, c := range p.ctrs {
		m[c.ID] = c.Name()
	}
	return m
}

func (p *fakeProducer) start(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp(p.dir, "logs")
	if err != nil {
		return err
	}
	for i := range n {
		p.ctrs = append(p.ctrs, p.engine.Run(dockertest.Container{Name: p.name(i), LogDir: dir}))
	}
	ctx, p.quit = context.WithCancel(context.WithoutCancel(ctx)) // they write on when the start is over
	p.writing.Go(func() { p.write(ctx) })
	return nil
}

func (p *fakeProducer) write(ctx context.Context) {
	fill := strings.Repeat("The quick brown fox jumps over the lazy dog. ", longLine/45+1)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; {
		for due := int(time.Since(begin).Seconds() * p.rate); p.lines < due; {
			p.lines++
			size := lineSize
			if p.lines%longEvery == 0 {
				size = longLine
			}
			for _, c := range p.ctrs {
				c.Stdout(fmt.Sprintf("%s stdout %d %s", p.run, p.lines, fill[:size]))
				c.Stderr(fmt.Sprintf("%s stderr %d %s", p.run, p.lines, fill[:size]))
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *fakeProducer) stop(context.Context) (map[Key]int, error) {
	p.quit()
	p.writing.Wait()
	written := map[Key]int{}
	for _, c := range p.ctrs {
		c.Stop()
		for _, std := range stds {
			written[Key{c.ID, std}] = p.lines
		}
	}
	return written, nil
}

func (p *fakeProducer) remove(context.Context) error {
	if p.quit != nil {
		p.quit()
		p.writing.Wait()
	}
	p.engine.Close()
	return nil
}
