package backends

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/docker/enginetest"
)

// load is a number of containers that write, and what is known of how far it came.
type load struct {
	t        testing.TB
	engine   *enginetest.Engine
	backends []backend
	what     string // the case, in words
	prefix   string // of the containers' names
	total    int    // lines of all containers
	began    time.Time
	pace     time.Duration // how often it is counted what arrived
	host     string        // as records name this machine
	image    string

	containers []*enginetest.Container
	labels     map[string]map[string]string // of each container, by its name
	written    chan struct{}                // closed when all have ended
	watchers   sync.WaitGroup

	mu      sync.Mutex
	ended   time.Time             // guarded by mu, as what follows
	reached map[backend]time.Time // when it had as many lines as were written
}

// volume is how much a load writes: so many containers, each lines on each of its std streams, at rate lines a second.
type volume struct {
	containers, lines int
	rate              float64
}

// startLoad starts the containers. Most belong to one of two Compose projects.
func startLoad(t testing.TB, e *enginetest.Engine, what, short string, v volume, pace time.Duration, backends ...backend) *load {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	image, err := e.Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &load{
		host: host, image: image,
		t: t, engine: e, backends: backends, what: what,
		prefix: shortPrefix(short), total: 2 * v.lines * v.containers, began: time.Now(), pace: pace,
		labels: map[string]map[string]string{}, written: make(chan struct{}), reached: map[backend]time.Time{},
	}
	say("%s: %d containers, %s lines, %s a second", what, v.containers, thousands(l.total), thousands(2*int(v.rate)*v.containers))
	for i := range v.containers {
		name := fmt.Sprint(l.prefix, i)
		labels := map[string]string{}
		if i >= 2 {
			labels["com.docker.compose.project"] = short + "-" + []string{"shop", "blog"}[i%2]
			labels["com.docker.compose.service"] = []string{"web", "db"}[i/2%2]
		}
		l.labels[name] = labels
		l.containers = append(l.containers, e.Run(t, enginetest.Options{Name: name, Labels: labels, Args: []string{
			"-std=both", fmt.Sprint("-lines=", v.lines), fmt.Sprint("-rate=", v.rate), "-size=120", "-long=20000", fmt.Sprint("-every=", min(1000, v.lines/2)),
		}}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.watchers.Go(func() { l.await(ctx) })
	l.watchers.Go(func() { l.watch(ctx) })
	t.Cleanup(func() {
		cancel()
		l.watchers.Wait()
	})
	return l
}

// await closes written when the last container has ended, or cannot be waited for.
func (l *load) await(ctx context.Context) {
	defer close(l.written)
	for _, c := range l.containers {
		results, errs := l.engine.ContainerWait(ctx, c.ID, container.WaitConditionNotRunning)
		select {
		case <-results:
		case err := <-errs:
			if ctx.Err() == nil {
				l.t.Errorf("wait for %s: %v", c.Name, err)
			}
			return
		}
	}
	l.mu.Lock()
	l.ended = time.Now()
	l.mu.Unlock()
}

// shortPrefix begins the names of the containers of a case.
func shortPrefix(short string) string { return fmt.Sprintf("e2e-%d-%s-", os.Getpid(), short) }

// saidEach is how often it is said what arrived.
const saidEach = 5 * time.Second

// watch counts what arrived, and says it.
func (l *load) watch(ctx context.Context) {
	tick := time.NewTicker(l.pace)
	defer tick.Stop()
	said := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		text := ""
		for _, b := range l.backends {
			n, err := b.count(ctx, l)
			if err == nil && n >= l.total && !l.has(b) {
				l.mu.Lock()
				l.reached[b] = time.Now()
				l.mu.Unlock()
			}
			has := thousands(n)
			if err != nil {
				has = "does not answer"
			}
			text += fmt.Sprintf("  %s %-15s", b.name(), has)
		}
		all := !slices.ContainsFunc(l.backends, func(b backend) bool { return !l.has(b) })
		if all || time.Since(said) >= saidEach {
			say("  %3d s %s", int(time.Since(l.began).Seconds()), text)
			said = time.Now()
		}
		if all {
			return
		}
	}
}

// has tells whether a backend had as many lines as were written.
func (l *load) has(b backend) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.reached[b].IsZero()
}

// late is how long after the last line a backend had as many as were written.
func (l *load) late(b backend) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reached[b].IsZero() {
		return 0
	}
	return max(0, l.reached[b].Sub(l.ended))
}

// topic is where the messages of a container belong.
func (l *load) topic(name string) string {
	if project := l.labels[name]["com.docker.compose.project"]; project != "" {
		return project
	}
	return "docker-logs"
}

// fields are the keys of a container's records but those of each line.
func (l *load) fields(c *enginetest.Container, std string) map[string]string {
	fields := map[string]string{"stream": std, "container_id": c.ID, "container_name": c.Name, "image": l.image, "host": l.host}
	for label, value := range l.labels[c.Name] {
		fields["compose_"+label[strings.LastIndexByte(label, '.')+1:]] = value
	}
	return fields
}
