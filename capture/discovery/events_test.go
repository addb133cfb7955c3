package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/testkit"
)

// world is an Engine, and streams, as a table has them. A container's id is the name
// that it had first.
type world struct {
	mu    sync.Mutex
	known map[string]*container.Container // what the Engine has
	fault map[string]string               // of an inspect: error or late
	state map[string]State                // of streams
	names map[string]string               // of containers that have one
	did   []string                        // asked since the last line of the table
}

func (w *world) do(format string, args ...any) { w.did = append(w.did, fmt.Sprintf(format, args...)) }

func (w *world) IDs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.state))
}

func (w *world) Stream(id string) (*container.Container, State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state[id] == None {
		return nil, None
	}
	return &container.Container{ID: id, Name: w.names[id]}, w.state[id]
}

func (w *world) Start(c *container.Container, inspected bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if inspected {
		w.do("start %s", c.ID)
	} else {
		w.do("start %s as listed", c.ID)
	}
	w.state[c.ID], w.names[c.ID] = Settled, c.Name
}

func (w *world) Look(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.state[id].captured() {
		return false
	}
	w.do("look %s", id)
	return true
}

func (w *world) Poke(id string, polled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.do("poke %s", id); polled {
		w.did[len(w.did)-1] += " if polled"
	}
}

func (w *world) Describe(c *container.Container) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.do("describe %s", c.ID); c.Name != c.ID {
		w.did[len(w.did)-1] += " as " + c.Name
	}
	w.names[c.ID] = c.Name
}

func (w *world) Stop(id string)   { w.mu.Lock(); defer w.mu.Unlock(); w.do("stop %s", id) }
func (w *world) Remove(id string) { w.mu.Lock(); defer w.mu.Unlock(); w.do("remove %s", id) }
func (w *world) Missed(c *container.Container) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.do("missed %s", c.ID)
}
func (*world) Wanted(c *container.Container) bool { return !strings.HasPrefix(c.Name, "noisy") }
func (*world) ByImage() bool                      { return true }
func (*world) Hear(engine.Event)                  {}
func (*world) Recognise(*container.Container)     {}
func (*world) Unmatched([]*container.Container)   {}

func (*world) Connect(context.Context) (engine.Info, error) { return engine.Info{}, nil }
func (*world) Probe(context.Context) error                  { return nil }
func (*world) Watch(context.Context, time.Time) func(func(engine.Event)) error {
	return func(func(engine.Event)) error { return nil }
}

func (w *world) List(context.Context) (all []*container.Container, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.known)) {
		c := *w.known[id]
		c.LastRun = container.LastRun{} // which a list does not tell
		all = append(all, &c)
	}
	return all, nil
}

func (w *world) Inspect(ctx context.Context, id string) (*container.Container, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, fault := w.known[id], w.fault[id]
	switch {
	case fault == "error":
		return nil, errors.New("no idea")
	case fault == "late":
		return nil, fmt.Errorf("inspecting: %w", context.DeadlineExceeded)
	case c == nil:
		return nil, engine.ErrGone
	}
	inspected := *c
	inspected.Image = "app:1"
	return &inspected, nil
}

// engine follows a line of that name.
func (w *world) engine(t *testing.T, name string, words []string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &container.Container{ID: name, Name: name, Image: "app:1"}
	delete(w.fault, name)
	now := time.Now().UnixNano()
	for _, word := range words {
		switch {
		case word == "running":
			c.Created, c.Running, c.StartedAt = now, true, now
		case word == "created":
			c.Created = now
		case word == "stopped":
			c.LastRun = container.LastRun{StartedAt: 1, FinishedAt: 2}
		case word == "long", word == "ago":
			c.LongOver = true
		case word == "removed":
			delete(w.known, name)
			return
		case word == "error", word == "late":
			w.fault[name] = word
		case strings.HasPrefix(word, "image="):
			c.Image = strings.TrimPrefix(word, "image=")
		default:
			t.Fatalf("engine %s %s", name, word)
		}
	}
	w.known[name] = c
}

// TestEvents goes through the table of testdata/events.txt.
func TestEvents(t *testing.T) {
	testkit.Cases(t, "testdata/events.txt", 10, func(t *testing.T, first int, lines []string) {
		synctest.Test(t, func(t *testing.T) { play(t, first, lines) })
	})
}

// play goes through one block.
func play(t *testing.T, first int, lines []string) {
	w := &world{known: map[string]*container.Container{}, fault: map[string]string{}, state: map[string]State{}, names: map[string]string{}}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store := checkpoint.NewStore(checkpoint.StoreOptions{Began: time.Now(), Grace: time.Hour}, log)
	store.NoteClock(0)
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "n"})
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "m"}, []string{"what"})
	d := New(Options{
		Engine: w, State: engine.NewState(), Streams: w, Choice: w, Store: store, Failing: NewFailing(),
		Counts: Counts{Events: vec, Errors: vec, ResyncFinds: counter, Panics: counter},
	}, log)
	d.compare(t.Context(), listing{}, true)
	d.said = "connected"
	time.Sleep(time.Second)
	for i, text := range lines {
		words := strings.Fields(text)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		switch args := words[1:]; words[0] {
		case "engine":
			w.engine(t, args[0], args[1:])
		case "stream":
			w.state[args[0]], w.names[args[0]] = map[string]State{"none": None, "gone": Gone, "idle": Idle, "settled": Settled}[args[1]], args[0]
		case "event":
			c := &container.Container{ID: args[1], Name: args[len(args)-1]}
			if known := w.known[args[1]]; known != nil { // as the Engine does
				c.Running = args[0] != "die"
				known.Name = c.Name
			}
			d.act(t.Context(), engine.Event{Name: args[0], Container: c, At: time.Now().UnixNano()})
		case "renamed":
			w.known[args[0]].Name = args[1]
		case "list":
			d.compare(t.Context(), d.list(t.Context()), len(args) > 0)
		case "->":
			synctest.Wait()
			if have, want := strings.Join(w.did, "; "), strings.Join(args, " "); have != want {
				t.Errorf("testdata/events.txt:%d: %q was asked, not %q", first+i, have, want)
			}
			w.did = nil
		default:
			t.Fatalf("what is %q?", text)
		}
	}
}
