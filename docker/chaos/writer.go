package chaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"github.com/containerd/errdefs"
)

// writer is a container of the plan: several of the Engine's, one after the other, where it is removed and created again.
type writer struct {
	w    *world
	i    int
	spec Container

	mu    sync.Mutex // one step at a time
	lives []*life
	name  string
	named int
}

// life is one container of the Engine.
type life struct {
	id      string
	names   []string // that it ever had
	created time.Time
	started time.Time // last
	removed time.Time // zero: it was not
	forced  bool      // its removal
	journal string    // directory
	witness *witness
	cut     time.Time // when its log file was truncated last
	moved   bool      // it was moved away
	killed  bool      // by SIGKILL, or with dockerd
}

// wentAt is when the container was removed: by the Engine, nobody may have asked since.
func (l *life) wentAt() time.Time {
	if at := l.witness.wentAt(); !at.IsZero() && at.Before(l.removed) {
		return at
	}
	return l.removed
}

// try says what came of a step.
func (x *writer) try(what string, f func() error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := f(); err != nil {
		x.w.say("container %d: %s: %v", x.i, what, err)
		return
	}
	x.w.say("container %d: %s", x.i, what)
}

// current is the container that is there, nil if there is none. x.mu is held.
func (x *writer) current() *life {
	if len(x.lives) == 0 || !x.lives[len(x.lives)-1].removed.IsZero() {
		return nil
	}
	return x.lives[len(x.lives)-1]
}

var errNone = errors.New("there is none")

func (x *writer) create(ctx context.Context) error {
	journal := filepath.Join(x.w.dir, fmt.Sprintf("journal-%d-%d", x.i, len(x.lives)))
	if err := os.Mkdir(journal, 0o777); err != nil {
		return err
	}
	if x.name == "" {
		x.name = fmt.Sprintf("%s-c%d", x.w.prefix, x.i)
	}
	s := x.spec
	o := enginetest.Options{Name: x.name, TTY: s.TTY, AutoRemove: s.Life == lifeRemoved, LogDriver: s.Driver, LogOpts: map[string]string{}, Binds: []string{journal + ":/journal"},
		Args: []string{"-mixed=" + s.Kinds, fmt.Sprint("-seed=", x.w.p.Seed+uint64(x.i)), "-journal=/journal", "-std=" + s.Std, fmt.Sprint("-lines=", s.Lines), fmt.Sprint("-rate=", s.Rate), fmt.Sprint("-burst=", s.Burst)}}
	if s.Part {
		o.Args = append(o.Args, "-exit-without-newline")
	}
	switch s.Life {
	case lifeStays:
		o.Args = append(o.Args, "-hold")
	case lifeRestarts:
		o.Retries = 5
		fallthrough
	case lifeDies:
		o.Args = append(o.Args, "-crash-after=1")
	}
	if s.MaxSize > 0 {
		o.LogOpts["max-size"] = strconv.FormatInt(s.MaxSize, 10)
		o.LogOpts["max-file"] = strconv.Itoa(s.MaxFile)
		o.LogOpts["compress"] = strconv.FormatBool(s.Compress)
	}
	id, err := x.w.e.Create(ctx, o)
	if err != nil {
		return err
	}
	l := &life{id: id, names: []string{x.name}, created: time.Now(), journal: journal}
	l.witness, err = watch(filepath.Join(x.w.e.Containers(), id), s.Driver)
	if err != nil {
		return errors.Join(err, x.w.e.Drop(ctx, id))
	}
	l.witness.noEmpty = strings.HasPrefix(x.w.e.Version, "20.10")
	x.lives = append(x.lives, l)
	return nil
}

// start starts the container n times, each when the run before is over; it is created where there is none.
func (x *writer) start(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for range n {
		if x.current() == nil {
			if err := x.create(ctx); err != nil {
				return err
			}
		}
		if err := x.w.e.Begin(ctx, x.current().id); err != nil {
			return x.noted(err)
		}
		x.current().started = time.Now()
		if n > 1 && x.spec.Life != lifeStays {
			// At most so long: a container that writes for longer runs already when it is started next.
			waiting, cancel := context.WithTimeout(ctx, 3*time.Second)
			_ = x.wait(waiting)
			cancel()
		}
		if x.spec.Life == lifeRemoved {
			_ = x.gone(ctx, 2*time.Second)
		}
	}
	return nil
}

// noted takes notice of a container that is gone.
func (x *writer) noted(err error) error {
	if l := x.current(); l != nil && errdefs.IsNotFound(err) {
		l.removed = time.Now()
	}
	return err
}

// gone waits a while for a container that removes itself.
func (x *writer) gone(ctx context.Context, most time.Duration) error {
	for end := time.Now().Add(most); ; {
		l := x.current()
		if l == nil {
			return nil
		}
		if _, err := x.w.e.ContainerInspect(ctx, l.id); x.noted(err) != nil || time.Now().After(end) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (x *writer) wait(ctx context.Context) error {
	l := x.current()
	if l == nil {
		return errNone
	}
	return x.noted(x.w.e.Await(ctx, l.id))
}

// with runs a request for the current container.
func (x *writer) with(ctx context.Context, f func(ctx context.Context, l *life) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l := x.current()
	if l == nil {
		return errNone
	}
	return x.noted(f(ctx, l))
}

func (x *writer) stop(ctx context.Context) error {
	return x.with(ctx, func(ctx context.Context, l *life) error {
		if err := x.w.e.End(ctx, l.id); err != nil {
			return err
		}
		if x.spec.Life == lifeRemoved {
			return x.gone(ctx, 5*time.Second)
		}
		return x.wait(ctx)
	})
}

func (x *writer) kill(ctx context.Context) error {
	return x.with(ctx, func(ctx context.Context, l *life) error {
		l.killed = true
		if err := x.w.e.ContainerKill(ctx, l.id, "SIGKILL"); err != nil {
			return err
		}
		return x.wait(ctx)
	})
}

// remove removes it by force; at the end of a plan that is nothing that would lose a line.
func (x *writer) remove(ctx context.Context, atTheEnd bool) error {
	return x.with(ctx, func(ctx context.Context, l *life) error {
		if !atTheEnd {
			l.forced = true
		}
		if err := x.w.e.Drop(ctx, l.id); err != nil {
			return err
		}
		l.removed = time.Now()
		return nil
	})
}

func (x *writer) rename(ctx context.Context) error {
	return x.with(ctx, func(ctx context.Context, l *life) error {
		x.named++
		name := fmt.Sprintf("%s-c%d-%d", x.w.prefix, x.i, x.named)
		if err := x.w.e.ContainerRename(ctx, l.id, name); err != nil {
			return err
		}
		x.name = name
		l.names = append(l.names, name)
		return nil
	})
}

// written is what the runs of a container wrote to a std stream; the last line may not have been written whole.
func (l *life) written(std string) (lines []string) {
	b, _ := os.ReadFile(filepath.Join(l.journal, std))
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		if len(b) < 4+n {
			break
		}
		lines = append(lines, string(b[4:4+n]))
		b = b[4+n:]
	}
	return lines
}
