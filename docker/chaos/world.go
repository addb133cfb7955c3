package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/docker/soak"
)

// limit bounds each request to the Engine, and what has to happen before a plan.
const limit = time.Minute

// world is one plan while it runs: an Engine, containers that write, Fluent Bit, and what is between them.
type world struct {
	p       *Plan
	e       *enginetest.OwnEngine
	dir     string // of all files
	prefix  string // of the containers' names
	began   time.Time
	sink    *sink
	proxy   *proxy
	agent   *agent
	listen  string // of the plugin's endpoint
	client  *http.Client
	health  *watcher
	writers []*writer

	engineMu sync.Mutex // held while dockerd is stopped or away
	agentMu  sync.Mutex // the same of Fluent Bit
	faults   sync.WaitGroup

	mu     sync.Mutex
	log    []string
	did    map[string]int // steps, by kind
	kills  []time.Time    // of Fluent Bit
	downs  []span         // of Fluent Bit, by whatever
	wounds []span         // when the Engine, the way to it, a disk or the sink was not as it should be
	finds  []string       // of what happened while it ran
	ended  bool           // an agent has ended by itself
}

type span struct {
	kind     string // of the step
	from, to time.Time
}

func (s span) meets(from, to time.Time) bool { return !s.from.After(to) && !s.to.Before(from) }

func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%8.3f  ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) find(format string, args ...any) {
	w.say("FIND "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finds = append(w.finds, fmt.Sprintf(format, args...))
}

// wound notes what lasts from now until the function that it returns is called.
func (w *world) wound(list *[]span, s Step) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := len(*list)
	*list = append(*list, span{s.Do, time.Now(), time.Now().Add(time.Hour)})
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		(*list)[i].to = time.Now()
	}
}

// serial makes the names of a process' plans different.
var serial atomic.Int64

// run runs a plan and judges what came of it. The error says why there is no result.
func run(ctx context.Context, p *Plan, e *enginetest.OwnEngine, with Agent) (r *Result, err error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return nil, err
	}
	w := &world{p: p, e: e, dir: dir, prefix: fmt.Sprintf("chaos-%d-%d", os.Getpid(), serial.Add(1)), began: time.Now(), did: map[string]int{}, client: &http.Client{Timeout: 2 * time.Second}}
	defer func() {
		err = errors.Join(err, w.clear())
		if r == nil || len(r.Finds) == 0 {
			_ = os.RemoveAll(dir)
		}
	}()
	if err := w.begin(ctx, with); err != nil {
		return nil, err
	}
	for _, s := range p.Steps {
		select {
		case <-time.After(time.Duration(s.After) * time.Millisecond):
			w.do(ctx, s)
		case <-ctx.Done():
		}
	}
	w.faults.Wait()
	return w.finish(ctx)
}

// begin starts everything.
func (w *world) begin(ctx context.Context, with Agent) (err error) {
	disk := filepath.Join(w.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("chaos", disk, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		return fmt.Errorf("mount a disk: %w", err)
	}
	if with.host {
		w.p.Storage = "memory" // it has no other
	}
	if w.sink, err = newSink(with.host, w.dir); err != nil {
		return err
	}
	if w.proxy, err = newProxy(filepath.Join(w.dir, "p.sock"), strings.TrimPrefix(w.e.Host, "unix://")); err != nil {
		return err
	}
	if w.listen, err = enginetest.FreeAddr(); err != nil {
		return err
	}
	for i, c := range w.p.Containers {
		x := &writer{w: w, i: i, spec: c}
		w.writers = append(w.writers, x)
		if c.Start == 0 {
			if err := x.start(ctx, 1); err != nil {
				return err
			}
		}
	}
	w.agent, err = configure(setup{Agent: with, dir: w.dir, disk: disk, engine: "unix://" + w.proxy.path, sink: w.sink.addr,
		listen: w.listen, include: "name=" + w.prefix + "-*", plan: w.p})
	if err != nil {
		return err
	}
	if err := w.agent.start(); err != nil {
		return err
	}
	w.health = watchHealth(w.client, "http://"+w.listen+"/readyz")
	for _, x := range w.writers {
		if x.spec.Start > 0 {
			w.faults.Go(func() {
				time.Sleep(time.Duration(x.spec.Start) * time.Millisecond)
				x.try("start", func() error { return x.start(ctx, 1) })
			})
		}
	}
	return nil
}

// diskSize is what DB and Fluent Bit's chunks have room in.
const diskSize = 128 << 20

// settleTime is how long what was written may take to come when all faults are over.
const settleTime = 100 * time.Second

// quietTime is how long nothing may come before what is missing is lost: longer than any Rotate_Interval.
const quietTime = 50 * time.Second

// finish ends all faults, lets everything arrive, ends the agent, and judges.
func (w *world) finish(ctx context.Context) (*Result, error) {
	ctx = context.WithoutCancel(ctx)
	w.say("all faults are over")
	if err := w.e.Up(ctx); err != nil {
		return nil, err
	}
	over := time.Now()
	for _, x := range w.writers {
		x.try("stop", func() error { return x.stop(ctx) })
	}
	if how, ok := w.agent.ended(); ok {
		w.find("Fluent Bit has ended by itself: %s", how)
		w.ended = true
		if err := w.agent.start(); err != nil {
			return nil, err
		}
	}
	w.say("the containers are stopped")
	w.settle(over)
	w.say("it has settled")
	w.save("streams")
	w.save("metrics")
	if !w.health.readyWithin(30 * time.Second) {
		w.find("not ready %v after all faults were over: %s", time.Since(over).Round(time.Second), w.health.last())
	}
	w.metrics(ctx)
	for _, x := range w.writers {
		x.try("remove", func() error { return x.remove(ctx, true) })
	}
	w.leaks(ctx)
	w.health.close()
	if err := w.agent.stop(); err != nil {
		w.find("%v", err)
	}
	if err := w.sink.close(); err != nil {
		w.find("%v", err)
	}
	r, err := w.judge()
	if err != nil {
		return nil, err
	}
	return r, w.keep(r)
}

// settle waits until nothing is missing, or nothing comes any more.
func (w *world) settle(over time.Time) {
	quiet := time.Now()
	for n := -1; ; {
		chunks, changed := w.sink.all()
		if len(chunks) != n {
			n, quiet = len(chunks), time.Now()
		}
		r, err := w.judge()
		if err == nil && r.Missing == 0 {
			return
		}
		// What may be missing is not waited for as long as what must come.
		if err == nil && r.open == 0 && time.Since(quiet) > 8*time.Second && time.Since(over) > 12*time.Second && w.health.readyWithin(0) {
			return
		}
		if time.Since(over) > settleTime || time.Since(quiet) > quietTime {
			return
		}
		select {
		case <-changed:
			time.Sleep(200 * time.Millisecond)
		case <-time.After(time.Second):
		}
	}
}

// metrics compares the plugin's counts with what came and what was said, where the agent is the only one.
func (w *world) metrics(ctx context.Context) {
	only := w.did["agent restarts"]+w.did["agent is killed"]+w.did["agent is away"]+w.did["agent reloads"] == 0 && !w.ended && !strings.Contains(w.agent.said(), writeFailed)
	var m soak.Scraped
	var wrong []string
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(300 * time.Millisecond) { // an acknowledgement takes a moment
		var err error
		if m, err = soak.Scrape(ctx, w.client, "http://"+w.listen+"/metrics"); err != nil {
			wrong = []string{fmt.Sprintf("the metrics cannot be had: %v", err)}
		} else {
			wrong = w.counts(m, only)
		}
		if len(wrong) == 0 || time.Now().After(end) {
			break
		}
	}
	for _, text := range wrong {
		w.find("%s", text)
	}
	if !only || m == nil {
		return
	}
	for _, g := range []struct{ metric, said string }{
		{"gaps_total", "gap: lines"}, {"missed_containers_total", "gap: the container was removed before"}, {"unpolled_containers_total", "the container was removed while "},
		{"late_records_total", "were delivered late"},
	} {
		n, said := m.Sum("log_capturer_"+g.metric), strings.Count(w.agent.said(), g.said)
		if g.metric == "gaps_total" {
			said = strings.Count(w.agent.said(), "gap: ")
			n += m.Sum("log_capturer_missed_containers_total") // which are said so, too
		}
		if (n > 0) != (said > 0) {
			w.find("%s is %g, and the log says it %d times (%s)", g.metric, n, said, g.said)
		}
	}
}

// save keeps what the plugin's endpoint says.
func (w *world) save(what string) {
	resp, err := w.client.Get("http://" + w.listen + "/" + what)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	_ = os.WriteFile(filepath.Join(w.dir, what+".txt"), b, 0o600)
}

// counts says what is wrong with the plugin's counts; only says that no other agent was there before.
func (w *world) counts(m soak.Scraped, only bool) (wrong []string) {
	for name, text := range map[string]string{"panics_total": "panics were caught", "tasks_leaked": "tasks did not return", "outstanding_records": "records are not acknowledged although all are there"} {
		if n := m.Sum("log_capturer_" + name); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%g %s", n, text))
		}
	}
	came := 0
	chunks, _ := w.sink.all()
	for _, c := range chunks {
		came += len(c.records)
	}
	for _, name := range []string{"lines_total", "appended_records_total", "acked_records_total"} {
		n := m.Sum("log_capturer_" + name)
		if name == "appended_records_total" {
			n -= m.Sum("log_capturer_refused_records_total") // which are appended again
		}
		if only && int(n) != came {
			wrong = append(wrong, fmt.Sprintf("%s is %g, and %d records came", name, n, came))
		}
	}
	return wrong
}

// leaks looks at what is left when there is no container any more.
func (w *world) leaks(ctx context.Context) {
	const goroutines, fds = 40, 110 // of an input without a container, and Fluent Bit with its 2 threads of the output
	var why string
	for end := time.Now().Add(30 * time.Second); ; {
		m, err := soak.Scrape(ctx, w.client, "http://"+w.listen+"/metrics")
		p, perr := soak.Inspect(w.agent.cmd.Process.Pid)
		switch streams := m.Sum("log_capturer_streams"); {
		case err != nil || perr != nil:
			why = fmt.Sprint(errors.Join(err, perr))
		case streams > 0:
			why = fmt.Sprintf("%g streams run although there is no container", streams)
		case m.Max("log_capturer_goroutines") > goroutines:
			why = fmt.Sprintf("%g goroutines without any container", m.Max("log_capturer_goroutines"))
		case p.FDs > fds:
			why = fmt.Sprintf("%g file descriptors without any container", p.FDs)
		default:
			w.say("at the end %g goroutines, %g file descriptors", m.Max("log_capturer_goroutines"), p.FDs)
			return
		}
		if time.Now().After(end) {
			w.find("%s", why)
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// clear ends whatever runs.
func (w *world) clear() error {
	var errs []error
	if w.health != nil {
		w.health.close()
	}
	if w.agent != nil && w.agent.cmd != nil {
		_ = w.agent.signal(syscall.SIGCONT)
		if _, ok := w.agent.ended(); !ok {
			w.agent.kill()
		}
	}
	if w.sink != nil {
		_ = w.sink.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, x := range w.writers {
		_ = x.remove(ctx, true)
		for _, in := range x.lives {
			in.witness.close()
		}
	}
	if w.proxy != nil {
		w.proxy.close()
	}
	w.client.CloseIdleConnections()
	disk := filepath.Join(w.dir, "disk")
	if err := syscall.Unmount(disk, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
		errs = append(errs, fmt.Errorf("unmount %s: %w", disk, err))
	}
	return errors.Join(errs...)
}
