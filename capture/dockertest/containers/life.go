package containers

import (
	"strconv"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/wait"
)

// Life is how a container comes and goes, with its events.
type Life struct {
	c  *Ctr
	mu wait.Lock // held by each change of state as a whole
}

// Start runs the container, unless it runs already, and emits start.
func (l *Life) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start()
}

func (l *Life) start() {
	if state := l.c.State(); state != "created" && state != "exited" {
		return
	}
	l.c.log.Open(l.c.LogPath()) // dockerd has the log before the container runs
	l.c.change(func(is *View) {
		is.State, is.Started, is.Ended, is.ExitCode, is.Pid = "running", l.c.set.deps.Clock(), time.Time{}, 0, 1000+l.c.set.next()
	})
	l.c.emit("start", nil)
}

// Stop ends the container as docker stop does.
// In this order: kill, end of its log streams, die, stop. No-op if it does not run.
func (l *Life) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.c.runs() {
		return
	}
	l.stop()
	if l.c.spec.AutoRemove {
		l.remove()
	}
}

func (l *Life) stop() {
	l.c.emit("kill", map[string]string{"signal": "15"})
	l.exit(0)
	l.c.emit("stop", nil)
}

// Die ends the container by itself, with the exit code.
// In this order: end of its log streams, die. No-op if it does not run.
func (l *Life) Die(exitCode int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.c.runs() {
		return
	}
	l.exit(exitCode)
	if l.c.spec.AutoRemove {
		l.remove()
	}
}

// Restart is what docker restart does: kill, die, stop, start, restart.
func (l *Life) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.runs() {
		l.stop()
	}
	l.start()
	l.c.emit("restart", nil)
}

// Pause marks a running container as paused and emits pause. It still counts as running, and writes are still stored.
func (l *Life) Pause() { l.turn("running", "paused", "pause") }

// Unpause undoes Pause.
func (l *Life) Unpause() { l.turn("paused", "running", "unpause") }

func (l *Life) turn(from, to, action string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := false
	l.c.change(func(is *View) {
		if ok = is.State == from; ok {
			is.State = to
		}
	})
	if ok {
		l.c.emit(action, nil)
	}
}

// Rename changes the name and emits rename.
func (l *Life) Rename(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var old string
	l.c.change(func(is *View) {
		old = is.Name
		l.c.set.renamed(l.c, name)
		is.Name = name
	})
	l.c.emit("rename", map[string]string{"oldName": "/" + old})
}

// Remove is docker rm -f.
// In this order: kill and die if it runs, then its log is gone, then destroy.
func (l *Life) Remove() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.runs() {
		l.c.emit("kill", map[string]string{"signal": "9"})
		l.exit(137)
	}
	l.remove()
}

func (l *Life) remove() {
	if l.c.State() == "removed" {
		return
	}
	l.c.change(func(is *View) {
		is.State = "removed"
		l.c.set.removed(l.c)
	})
	l.c.log.Remove()
	l.c.emit("destroy", nil)
}

// exit ends the streams first. A client sees the end of the log before die.
func (l *Life) exit(code int) {
	ran := l.halt(code)
	l.c.emit("die", map[string]string{"exitCode": strconv.Itoa(code), "execDuration": strconv.Itoa(int(ran.Seconds()))})
}

func (l *Life) halt(code int) (ran time.Duration) {
	l.c.log.Close()
	l.c.change(func(is *View) {
		is.State, is.Ended, is.ExitCode, is.Pid = "exited", l.c.set.deps.Clock(), code, 0
		ran = is.Ended.Sub(is.Started)
	})
	return ran
}

// engineGone ends the container without a word.
func (l *Life) engineGone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c.runs() {
		l.halt(137)
	}
}
