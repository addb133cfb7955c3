package backends

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/docker/enginetest"
)

// containers is how many write at the same time.
const containers = 10

// load is a number of containers that write, and what is known of how far it came.
type load struct {
	t      testing.TB
	engine *enginetest.Engine
	kafka  *kafka
	what   string // the case, in words
	prefix string // of the containers' names
	total  int    // lines of all containers
	began  time.Time
	host   string // as records name this machine
	image  string

	containers []*enginetest.Container
	labels     map[string]map[string]string // of each container, by its name
	written    chan struct{}                // closed when all have ended
	watchers   sync.WaitGroup

	mu      sync.Mutex
	ended   time.Time            // guarded by mu, as what follows
	reached map[string]time.Time // when a backend had as many lines as were written
}

// startLoad starts the containers: each writes lines on each of its std streams, at rate lines a second. Most belong to
// one of two Compose projects.
func startLoad(t testing.TB, e *enginetest.Engine, what, short string, lines int, rate float64) *load {
	t.Helper()
	reader, err := readKafka(kafkaAddress)
	if err != nil {
		t.Fatal(err)
	}
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
		t: t, engine: e, kafka: reader, what: what,
		prefix: shortPrefix(short), total: 2 * lines * containers, began: time.Now(),
		labels: map[string]map[string]string{}, written: make(chan struct{}), reached: map[string]time.Time{},
	}
	say("%s: %d containers, %s lines, %s a second", what, containers, thousands(l.total), thousands(int(2*rate*containers)))
	for i := range containers {
		name := fmt.Sprint(l.prefix, i)
		labels := map[string]string{}
		if i >= 2 {
			labels["com.docker.compose.project"] = short + "-" + []string{"shop", "blog"}[i%2]
			labels["com.docker.compose.service"] = []string{"web", "db"}[i/2%2]
		}
		l.labels[name] = labels
		l.containers = append(l.containers, e.Run(t, enginetest.Options{Name: name, Labels: labels, Args: []string{
			"-std=both", fmt.Sprint("-lines=", lines), fmt.Sprint("-rate=", rate), "-size=120", "-long=20000", "-every=1000",
		}}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.watchers.Go(func() { l.await(ctx) })
	l.watchers.Go(func() { l.watch(ctx) })
	t.Cleanup(func() {
		cancel()
		l.watchers.Wait()
		reader.close()
	})
	return l
}

// await closes written when the last container has ended.
func (l *load) await(ctx context.Context) {
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
	close(l.written)
}

// shortPrefix begins the names of the containers of a case.
func shortPrefix(short string) string { return fmt.Sprintf("e2e-%d-%s-", os.Getpid(), short) }

// selector is the streams of all containers in Loki.
func (l *load) selector() string { return `{container_name=~"` + l.prefix + `.*"}` }

// pace is how often it is counted what arrived: for Loki a query over all of it, which would slow it down.
const pace = 5 * time.Second

// watch counts what arrived, and says it.
func (l *load) watch(ctx context.Context) {
	var ids []string
	for _, c := range l.containers {
		ids = append(ids, c.ID)
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		inLoki, err := theLoki.count(ctx, l.selector())
		inKafka := l.kafka.count(ids)
		l.mu.Lock()
		for name, n := range map[string]int{"Loki": inLoki, "Kafka": inKafka} {
			if l.reached[name].IsZero() && n >= l.total {
				l.reached[name] = time.Now()
			}
		}
		both := len(l.reached) == 2
		l.mu.Unlock()
		said := thousands(inLoki)
		if err != nil {
			said = "does not answer"
		}
		say("  %3d s   Loki %-15s  Kafka %s", int(time.Since(l.began).Seconds()), said, thousands(inKafka))
		if both {
			return
		}
	}
}

// has tells whether a backend had as many lines as were written.
func (l *load) has(backend string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.reached[backend].IsZero()
}

// late is how long after the last line a backend had as many as were written.
func (l *load) late(backend string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reached[backend].IsZero() {
		return 0
	}
	return max(0, l.reached[backend].Sub(l.ended))
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
