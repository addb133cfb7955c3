package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/docker/soak"
)

// engineError is trouble of the Engine or of a container: no agent can be blamed for it.
type engineError struct{ error }

func (e *engineError) Unwrap() error { return e.error }

// host is an Engine, and the containers of a work.
type host struct {
	*enginetest.OwnEngine
	pid     int // dockerd's
	ids     []string
	writers []int // the processes that write
	last    int   // the number of the last line of each std stream
	each    int   // std streams, of all containers
}

// startHost starts an Engine that runs nothing else. Whoever starts it takes it down.
func startHost(ctx context.Context) (*host, error) {
	own, err := enginetest.StartOwn(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	h := &host{OwnEngine: own}
	if h.pid, err = own.PID(); err != nil {
		return nil, errors.Join(err, own.Down())
	}
	return h, nil
}

// Down removes the containers and stops the Engine.
func (h *host) Down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return errors.Join(h.empty(ctx), h.OwnEngine.Down())
}

// atOnce is how many containers are started or removed beside each other.
const atOnce = 4

// fill starts the containers of a work, and waits until what they write first is in their logs.
func (h *host) fill(ctx context.Context, w *work) error {
	o := enginetest.Options{LogOpts: map[string]string{}}
	for name, value := range w.logOpts {
		o.LogOpts[name] = value
	}
	if w.attrs {
		o.Labels, o.Env = map[string]string{"team": "blue"}, []string{"STAGE=production"}
		o.LogOpts["labels"], o.LogOpts["env"], o.LogOpts["tag"] = "team", "STAGE", "{{.Name}}/{{.ID}}"
	}
	args := []string{"-std=" + w.std, "-payload=" + w.payload, fmt.Sprint("-size=", lineSize)}
	if w.backlog > 0 {
		h.last = w.backlog
		args = append(args, fmt.Sprint("-lines=", w.backlog), "-hold")
	} else {
		h.last = 1
		args = append(args, fmt.Sprint("-lines=", w.lines), fmt.Sprint("-rate=", w.rate), "-turns")
	}
	h.ids, h.writers, h.each = make([]string, w.containers), make([]int, w.containers), w.containers*w.stds()
	return h.parallel(func(i int) (err error) {
		o := o
		o.Name = fmt.Sprint("peers-", i)
		o.Args = append([]string{fmt.Sprint("-run=", mark, i)}, args...)
		if h.ids[i], err = h.Launch(ctx, o); err != nil {
			return err
		}
		c, err := h.ContainerInspect(ctx, h.ids[i])
		if err != nil {
			return err
		}
		h.writers[i] = c.State.Pid
		return h.awaitLast(ctx, h.ids[i], i, w.stds())
	})
}

// awaitLast waits for the last line of each std stream of a container.
func (h *host) awaitLast(ctx context.Context, id string, i, stds int) error {
	for {
		lines, err := h.Tail(ctx, id, 100)
		if err != nil {
			return err
		}
		t := newTally(i+1, stds, h.last, h.last)
		for _, l := range lines {
			_, _ = io.WriteString(t, l.Text+"\n")
		}
		if _, lost, _ := t.count(); lost == i*stds { // the others are of containers that have another turn
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// parallel calls f for each container.
func (h *host) parallel(f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(h.ids))
	free := make(chan struct{}, atOnce)
	for i := range h.ids {
		free <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-free
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return &engineError{err}
	}
	return nil
}

// empty removes the containers.
func (h *host) empty(ctx context.Context) error {
	err := h.parallel(func(i int) error {
		if h.ids[i] == "" {
			return nil
		}
		return h.Drop(ctx, h.ids[i])
	})
	h.ids = nil
	return err
}

// write tells the containers to write their next lines, one after the other within a span, so that they are not in step.
func (h *host) write(w *work) error {
	for _, pid := range h.writers {
		if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
			return &engineError{fmt.Errorf("a container that should write: %w", err)}
		}
		if len(h.writers) > 1 {
			time.Sleep(time.Duration(float64(time.Second) / w.rate / float64(len(h.writers))))
		}
	}
	h.last += w.lines
	return nil
}

// logs is a pattern of the containers' log files.
func (h *host) logs() string { return filepath.Join(h.Containers(), "*", "*-json.log") }

// warm reads the logs, so that they are in the page cache. Fluent Bit's tail drops from there what it has read, unless
// File_Cache_Advise is off, and who comes next would pay for that.
func (h *host) warm() error {
	paths, err := filepath.Glob(h.logs())
	if err != nil {
		return err
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// cpu is the Engine's CPU time so far, in seconds.
func (h *host) cpu() (float64, error) {
	p, err := soak.Inspect(h.pid)
	if err != nil {
		return 0, &engineError{fmt.Errorf("the Engine has ended: %w", err)}
	}
	return p.CPU, nil
}

// load is how many programs want to run on this machine, 0 where that is not known.
func load() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}
