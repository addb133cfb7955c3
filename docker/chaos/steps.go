package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// do does a step. What lasts goes on beside the next steps.
func (w *world) do(ctx context.Context, s Step) {
	w.mu.Lock()
	w.did[s.Do]++
	w.mu.Unlock()
	w.say("step %s", s)
	x := w.writers[s.On%len(w.writers)]
	ctx = context.WithoutCancel(ctx) // what was begun is ended
	on := func(f func() error) { w.faults.Go(func() { x.try(s.Do, f) }) }
	pause := time.Duration(s.For) * time.Millisecond
	lasts := func(begin, end func()) {
		over := w.wound(&w.wounds, s)
		w.faults.Go(func() {
			begin()
			time.Sleep(pause)
			end()
			w.say("over: %s", s)
			over()
		})
	}
	switch s.Do {
	case "stop":
		on(func() error { return x.stop(ctx) })
	case "start":
		on(func() error { return x.start(ctx, max(1, s.N)) })
	case "restart":
		on(func() error {
			for range max(1, s.N) {
				if err := x.stop(ctx); err != nil {
					return err
				}
				if err := x.start(ctx, 1); err != nil {
					return err
				}
			}
			return nil
		})
	case "kill":
		on(func() error { return x.kill(ctx) })
	case "remove":
		on(func() error { return x.remove(ctx, false) })
	case "recreate":
		on(func() error {
			if err := x.remove(ctx, false); err != nil {
				return err
			}
			return x.start(ctx, 1)
		})
	case "rename":
		on(func() error { return x.rename(ctx) })
	case "pause container":
		on(func() error {
			return x.with(ctx, func(ctx context.Context, l *life) error {
				if err := w.e.ContainerPause(ctx, l.id); err != nil {
					return err
				}
				time.Sleep(pause)
				return w.e.ContainerUnpause(ctx, l.id)
			})
		})
	case "truncate log":
		on(func() error {
			return x.with(ctx, func(_ context.Context, l *life) error {
				if x.spec.Driver != "" {
					return fmt.Errorf("nobody truncates a log of the driver %s", x.spec.Driver)
				}
				l.cut = time.Now()
				return l.witness.truncate()
			})
		})
	case "move log":
		on(func() error {
			return x.with(ctx, func(_ context.Context, l *life) error {
				if x.spec.Driver != "" {
					return fmt.Errorf("nobody moves a log of the driver %s", x.spec.Driver)
				}
				l.moved = true // the Engine goes on in a file that nobody who comes later finds
				return os.Rename(l.witness.current(), l.witness.current()+".moved")
			})
		})
	case "engine stops", "engine is killed", "engine restarts":
		w.engineStep(ctx, s, pause)
	case "cut":
		w.proxy.cut()
	case "proxy away":
		lasts(w.proxy.shut, func() { _ = w.proxy.open() })
	case "slow":
		lasts(func() { w.proxy.slow(s.Size) }, func() { w.proxy.slow(0) })
	case "half open":
		lasts(func() { w.proxy.freeze(true) }, func() { w.proxy.freeze(false) })
	case "disk full":
		f := filepath.Join(w.dir, "disk", "filler")
		lasts(func() { w.fill(f) }, func() { _ = os.Remove(f) })
	case engineDiskFull:
		f := filepath.Join(w.e.Data(), "filler")
		lasts(func() { w.fill(f) }, func() { _ = os.Remove(f) })
	case "agent restarts", "agent is away", "agent is killed", "agent reloads", "agent stops":
		w.faults.Go(func() { w.agentStep(s, pause) })
	case "sink refuses", "sink hangs":
		if w.sink.files != "" {
			w.say("the output of the host is always there")
			return
		}
		on := map[string]func(bool){"sink refuses": w.sink.refuse, "sink hangs": w.sink.hang}[s.Do]
		lasts(func() { on(true) }, func() { on(false) })
	default:
		w.find("the plan has a step that nobody knows: %s", s)
	}
}

// engineStep harms dockerd.
func (w *world) engineStep(ctx context.Context, s Step, pause time.Duration) {
	w.faults.Go(func() {
		w.engineMu.Lock()
		defer w.engineMu.Unlock()
		defer w.wound(&w.wounds, s)()
		var err error
		switch s.Do {
		case "engine stops":
			if err = w.e.Signal(syscall.SIGSTOP); err == nil {
				time.Sleep(pause)
				err = w.e.Signal(syscall.SIGCONT)
			}
		case "engine is killed":
			if err = w.e.Signal(syscall.SIGKILL); err == nil {
				time.Sleep(pause)
				err = w.e.Up(ctx)
			}
		case "engine restarts":
			err = w.e.StopStart(ctx)
		}
		if err != nil {
			w.say("%s: %v", s.Do, err)
		}
		if s.Do == "engine stops" {
			return
		}
		for _, x := range w.writers {
			if x.spec.Life != lifeStays {
				continue
			}
			w.faults.Go(func() {
				x.try("start after dockerd", func() error {
					if x.current() == nil {
						return errNone
					}
					return x.start(ctx, 1)
				})
			})
		}
	})
}

// fill leaves no room on the disk of a file.
func (w *world) fill(path string) {
	f, err := os.Create(path)
	if err != nil {
		w.say("fill the disk: %v", err)
		return
	}
	defer func() { _ = f.Close() }()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err := f.Write(b); err != nil {
			b = b[:len(b)/2]
		}
	}
}

// agentStep harms Fluent Bit, or ends it and starts it again.
func (w *world) agentStep(s Step, pause time.Duration) {
	w.agentMu.Lock()
	defer w.agentMu.Unlock()
	if how, ok := w.agent.ended(); ok {
		w.find("before %q Fluent Bit had ended by itself: %s", s.Do, how)
		w.ended = true
		if err := w.agent.start(); err != nil {
			w.find("Fluent Bit does not start: %v", err)
		}
		return
	}
	defer w.wound(&w.downs, s)()
	var err error
	switch s.Do {
	case "agent stops":
		err = w.agent.signal(syscall.SIGSTOP)
		time.Sleep(pause)
		_ = w.agent.signal(syscall.SIGCONT)
		w.agent.began = w.agent.began.Add(pause) // it is no older
	case "agent reloads":
		time.Sleep(startTime - time.Since(w.agent.began)) // before that the signal may end it
		err = w.agent.signal(syscall.SIGHUP)
		time.Sleep(3 * time.Second) // another one in the middle of it Fluent Bit refuses
	case "agent is killed":
		w.mu.Lock()
		w.kills = append(w.kills, time.Now())
		w.mu.Unlock()
		w.agent.kill()
		err = w.agent.start()
	default:
		err = w.agent.stop()
		time.Sleep(pause)
		if e := w.agent.start(); e != nil {
			err = e
		}
	}
	if err != nil {
		w.find("%s: %v", s.Do, err)
	}
}
