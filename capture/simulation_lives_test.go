package capture_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/dockertest"
)

// live is what happens to a container.
func (w *world) live(s step, i int, x *written, pause time.Duration) {
	if x.gone && s.Do != "start" && s.Do != "recreate" && s.Do != "runs" {
		return
	}
	switch s.Do {
	case "stop":
		x.end(x.c.Stop)
	case "die":
		x.end(func() { x.c.Die(1) })
	case "start":
		w.startAgain(i)
	case "restart":
		x.end(x.c.Stop)
		time.Sleep(3 * time.Millisecond) // no Engine is so fast that both have one time
		w.startAgain(i)
	case "runs":
		for range s.N {
			w.startAgain(i)
			x = w.slots[i]
			x.write(step{Std: s.Std, N: 3, Size: 20, Kind: "numbered"})
			x.end(func() { x.c.Die(0) })
			time.Sleep(pause + time.Millisecond)
		}
	case "rename":
		if n := x.n.Add(1); !w.hidden[x.name] && x.wanted() {
			x.c.Rename(fmt.Sprintf("%s-%d", x.name, n))
		}
	case "out of the filter", "into the filter":
		w.want(i, s.Do == "into the filter")
	case "remove":
		x.end(x.c.Remove)
		if !x.gone { // it did not run
			x.c.Remove()
			x.mu.Lock()
			x.removed()
			x.mu.Unlock()
		}
	case "recreate":
		if !x.gone {
			w.live(step{Do: "remove"}, i, x, 0)
		}
		w.create(i)
	case "pause container":
		w.during(fmt.Sprint("paused ", i), s.For, func() func() {
			x.c.Pause()
			return x.c.Unpause
		})
	}
}

func (w *world) startAgain(i int) {
	if w.slots[i].gone {
		w.create(i)
		return
	}
	x := w.slots[i]
	if x.c.State() == "exited" && !x.moved.IsZero() {
		_ = x.c.ReopenLog() // as the Engine does at each start
	}
	x.c.Start()
}

// handle is what somebody does to a log's files.
func (x *written) handle(s step) {
	x.mu.Lock()
	defer x.mu.Unlock()
	path := x.c.LogPath()
	switch s.Do {
	case "rotate log":
		if x.spec.MaxSize > 0 && !x.spec.Files { // no Engine rotates a file before its time
			_ = x.c.RotateLog()
			x.forget()
		}
		return
	case "tear":
		if x.c.TearLog(dockertest.Std(x.std(s.Std)), "torn", 12) == nil {
			x.torn, x.tears = true, append(x.tears, x.c.Records())
		}
		return
	case "garbage":
		if x.c.GarbageLog([]byte("no record at all\n")) == nil {
			x.torn = true
		}
		return
	}
	if _, err := os.Stat(path); err != nil || !x.spec.Files || x.gone {
		return
	}
	x.handled = time.Now()
	switch s.Do {
	case "truncate log":
		must(x.w.t, x.c.TruncateLog(x.n.Load()%2 == 0))
	case "copytruncate":
		if b, err := os.ReadFile(path); err == nil {
			must(x.w.t, os.WriteFile(path+".copy", b, 0o640))
		}
		must(x.w.t, x.c.TruncateLog(x.n.Load()%2 == 0))
	case "move log":
		x.moved, x.movedBlind = time.Now(), x.blindNow()
		_ = os.Rename(path, fmt.Sprint(path, ".old", x.n.Load()))
	case "save log": // as an editor does: the Engine writes on in what nobody sees
		x.moved, x.movedBlind = time.Now(), x.blindNow()
		if b, err := os.ReadFile(path); err == nil {
			must(x.w.t, os.WriteFile(path+"~", b, 0o640))
			must(x.w.t, os.Rename(path+"~", path))
		}
	}
}

// want gives the i-th container a name that is captured, or one that is not.
func (w *world) want(i int, on bool) {
	x := w.slots[i]
	if on == !strings.HasPrefix(x.c.Name(), hiddenName) || x.gone {
		return
	}
	if name := fmt.Sprintf("%s-%d", x.name, x.n.Add(1)); on {
		x.c.Rename(name)
	} else {
		x.c.Rename(hiddenName + name)
	}
	x.filtered()
}

// hiddenName is what the names of containers begin with that are not captured.
const hiddenName = "hidden"

// excluded are the globs of Exclude.
func (w *world) excluded() (globs []string) {
	globs = append(globs, hiddenName+"*")
	for _, x := range w.slots {
		if w.hidden[x.name] {
			globs = append(globs, x.name, x.name+"-*")
		}
	}
	return globs
}

// wanted says whether the container is to be captured.
func (x *written) wanted() bool {
	return !x.w.hidden[x.name] && !strings.HasPrefix(x.c.Name(), hiddenName)
}

// filtered notes whether it is.
func (x *written) filtered() {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.unwanted)
	out := n > 0 && x.unwanted[n-1].to.IsZero()
	switch wanted := x.wanted(); {
	case wanted && out:
		x.unwanted[n-1].to = time.Now()
	case !wanted && !out:
		away := x.w.has("down", "hang", "refused ", "refused list", "refused inspect")
		// The first agent may not have reached the Engine yet.
		x.unknown = x.unknown || time.Since(x.born) < 3*time.Second+10*time.Duration(x.w.p.Latency)*time.Millisecond || !away.IsZero() && away.Before(x.born.Add(5*time.Second))
		x.unwanted = append(x.unwanted, period{from: time.Now()})
	}
}

// blindNow says whether the agent may not have the log's file open. mu is held.
func (x *written) blindNow() bool {
	return x.movedUnseen() || !x.wanted() || x.w.unheard && time.Since(x.born) < shortLife ||
		!x.w.has("down", "hang", "refused ", "refused logs", "refused inspect", "refused list").IsZero()
}
