package dockertest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Container says what [Engine.Create] makes. The zero value is a container of alpine with a name of its own that logs to memory as json-file does.
type Container struct {
	ID         string // 64 hex digits; random when empty
	Name       string // without "/"; made up when empty
	Image      string // "alpine:3.20" when empty
	Labels     map[string]string
	TTY        bool
	AutoRemove bool   // --rm: removed when it exits
	Driver     string // log driver, "json-file" when empty; "none" cannot be read
	Unreadable bool   // any other driver that cannot be read, such as a remote one with cache-disabled=true

	LogDir   string // with json-file: where <id>/<id>-json.log is really written, or Podman's <id>/userdata/ctr.log
	MaxSize  int64  // log rotation before a write at this size; 0 = never
	MaxFile  int    // number of log files kept, at least 1
	Rotates  bool   // also without LogDir, where nothing is written to files
	Compress bool   // gzip rotated files

	LogOpts map[string]string // further options of the log driver, which an inspect shows
	Env     []string          // NAME=value
}

// Ctr is a container of the fake Engine. A container that was removed stays usable as a value: it no longer runs and stores nothing.
type Ctr struct {
	*Streams        // the log streams of this container
	ID       string // immutable

	e    *Engine
	spec Container // immutable but for Name
	log  *logStore
	life sync.Mutex // held by each change of state as a whole

	// Guarded by e.mu.
	name           string
	state          string // created, running, paused, exited, removed
	created        time.Time
	started, ended time.Time
	exitCode, pid  int
	hideFromLists  int
	untagged       bool
}

// Create makes a container that does not run yet, and emits create. A name that is taken goes over to the new container.
func (e *Engine) Create(spec Container) *Ctr {
	if spec.ID == "" {
		var b [32]byte
		_, _ = rand.Read(b[:])
		spec.ID = hex.EncodeToString(b[:])
	}
	if spec.Image == "" {
		spec.Image = "alpine:3.20"
	}
	if spec.Driver == "" {
		spec.Driver = "json-file"
	}
	if e.podman != "" && spec.Driver == "json-file" {
		spec.Driver = k8sFile
	}
	spec.Labels = maps.Clone(spec.Labels)

	e.mu.Lock()
	e.serial++
	if spec.Name == "" {
		spec.Name = "container-" + strconv.Itoa(e.serial)
	}
	c := &Ctr{ID: spec.ID, e: e, spec: spec, name: spec.Name, state: "created", created: e.now()}
	c.Streams = &Streams{e: e, c: c}
	c.log = newLogStore(e, spec)
	e.byID[c.ID] = c
	e.byName[c.name] = c
	e.order = append(e.order, c)
	e.mu.Unlock()

	c.emit("create", nil)
	return c
}

// Run is Create and Start.
func (e *Engine) Run(spec Container) *Ctr {
	c := e.Create(spec)
	c.Start()
	return c
}

// Start runs the container, unless it runs already, and emits start.
func (c *Ctr) Start() {
	c.life.Lock()
	defer c.life.Unlock()
	c.start()
}

func (c *Ctr) start() {
	c.e.mu.Lock()
	if c.state != "created" && c.state != "exited" {
		c.e.mu.Unlock()
		return
	}
	c.e.mu.Unlock()
	c.log.open(c.logPath()) // dockerd has the log before the container runs
	c.e.mu.Lock()
	c.e.serial++
	c.state, c.started, c.ended, c.exitCode, c.pid = "running", c.e.now(), time.Time{}, 0, 1000+c.e.serial
	c.e.mu.Unlock()
	c.emit("start", nil)
}

// Stop ends the container as docker stop does: kill, end of its log streams, die, stop. No-op if it does not run.
func (c *Ctr) Stop() {
	c.life.Lock()
	defer c.life.Unlock()
	if !c.running() {
		return
	}
	c.emit("kill", map[string]string{"signal": "15"})
	c.exit(0)
	c.emit("stop", nil)
	c.autoRemove()
}

// Die ends the container by itself with the exit code: end of its log streams, die. No-op if it does not run.
func (c *Ctr) Die(exitCode int) {
	c.life.Lock()
	defer c.life.Unlock()
	if !c.running() {
		return
	}
	c.exit(exitCode)
	c.autoRemove()
}

// Restart is what docker restart does: kill, die, stop, start, restart.
func (c *Ctr) Restart() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.running() {
		c.emit("kill", map[string]string{"signal": "15"})
		c.exit(0)
		c.emit("stop", nil)
	}
	c.start()
	c.emit("restart", nil)
}

// Pause marks a running container as paused and emits pause. It still counts as running, and writes are still stored.
func (c *Ctr) Pause() { c.turn("running", "paused", "pause") }

// Unpause undoes Pause.
func (c *Ctr) Unpause() { c.turn("paused", "running", "unpause") }

func (c *Ctr) turn(from, to, action string) {
	c.life.Lock()
	defer c.life.Unlock()
	c.e.mu.Lock()
	ok := c.state == from
	if ok {
		c.state = to
	}
	c.e.mu.Unlock()
	if ok {
		c.emit(action, nil)
	}
}

// Rename changes the name and emits rename.
func (c *Ctr) Rename(name string) {
	c.life.Lock()
	defer c.life.Unlock()
	c.e.mu.Lock()
	old := c.name
	c.dropNameLocked()
	c.name = name
	c.e.byName[name] = c
	c.e.mu.Unlock()
	c.emit("rename", map[string]string{"oldName": "/" + old})
}

// Remove is docker rm -f: kill and die if it runs, then its log is gone, then destroy.
func (c *Ctr) Remove() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.running() {
		c.emit("kill", map[string]string{"signal": "9"})
		c.exit(137)
	}
	c.remove()
}

func (c *Ctr) autoRemove() {
	if c.spec.AutoRemove {
		c.remove()
	}
}

func (c *Ctr) remove() {
	c.e.mu.Lock()
	if c.state == "removed" {
		c.e.mu.Unlock()
		return
	}
	c.state = "removed"
	delete(c.e.byID, c.ID)
	c.dropNameLocked()
	for i, o := range c.e.order {
		if o == c {
			c.e.order = append(c.e.order[:i:i], c.e.order[i+1:]...)
			break
		}
	}
	c.e.mu.Unlock()
	c.log.remove()
	c.emit("destroy", nil)
}

func (c *Ctr) dropNameLocked() {
	if c.e.byName[c.name] == c {
		delete(c.e.byName, c.name)
	}
}

// exit ends the streams first: a client sees the end of the log before die.
func (c *Ctr) exit(code int) {
	ran := c.halt(code)
	c.emit("die", map[string]string{"exitCode": strconv.Itoa(code), "execDuration": strconv.Itoa(int(ran.Seconds()))})
}

func (c *Ctr) halt(code int) (ran time.Duration) {
	c.log.close()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.state, c.ended, c.exitCode, c.pid = "exited", c.e.now(), code, 0
	return c.ended.Sub(c.started)
}

func (c *Ctr) stopSilently() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.running() {
		c.halt(137)
	}
}

func (c *Ctr) running() bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.runningLocked()
}

func (c *Ctr) runningLocked() bool { return c.state == "running" || c.state == "paused" }

// Name is the present name, without "/".
func (c *Ctr) Name() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.name
}

// State is created, running, paused, exited or removed.
func (c *Ctr) State() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.state
}

// Containers returns the containers that exist, in the order in which they were created.
func (e *Engine) Containers() []*Ctr {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*Ctr(nil), e.order...)
}

// Hide makes the next n list requests omit the container.
func (c *Ctr) Hide(n int) {
	c.e.mu.Lock()
	c.hideFromLists = n
	c.e.mu.Unlock()
}

// logPath is where the log file is, or would be if the container had a LogDir: then it is a path as on a host whose files are not mounted here.
func (c *Ctr) logPath() string {
	if c.spec.Driver == k8sFile {
		dir := c.spec.LogDir
		if dir == "" {
			dir = "/var/lib/containers/storage/overlay-containers"
		}
		return filepath.Join(dir, c.ID, "userdata", "ctr.log")
	}
	if c.spec.Driver != "json-file" {
		return ""
	}
	dir := c.spec.LogDir
	if dir == "" {
		dir = "/var/lib/docker/containers"
	}
	return filepath.Join(dir, c.ID, c.ID+"-json.log")
}

func (c *Ctr) emit(action string, attrs map[string]string) {
	all := maps.Clone(c.spec.Labels)
	if all == nil {
		all = map[string]string{}
	}
	all["image"], all["name"] = c.spec.Image, c.Name()
	maps.Copy(all, attrs)
	c.e.Emit(Event{Type: "container", Action: action, ID: c.ID, Attributes: all})
}

// String is the name and the short id.
func (c *Ctr) String() string { return fmt.Sprintf("%s (%.12s)", c.Name(), c.ID) }

// logOpts are the options of its log driver.
func (s *Container) logOpts() map[string]string {
	opts := map[string]string{}
	maps.Copy(opts, s.LogOpts)
	if s.MaxSize > 0 {
		opts["max-size"] = strconv.FormatInt(s.MaxSize, 10)
	}
	if s.MaxFile > 0 {
		opts["max-file"] = strconv.Itoa(s.MaxFile)
	}
	if s.Compress {
		opts["compress"] = "true"
	}
	return opts
}
