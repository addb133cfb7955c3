package dockertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (e *Engine) serveVersion(w http.ResponseWriter) {
	api, low := e.versions()
	if e.podman != "" {
		reply(w, http.StatusOK, map[string]any{"Version": e.podman, "ApiVersion": api.String(), "MinAPIVersion": low.String(), "Components": podmanComponents(e.podman)})
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"Platform": map[string]string{"Name": "dockertest"}, "Version": api.release(), "ApiVersion": api.String(), "MinAPIVersion": low.String(),
		"GitCommit": "fake", "GoVersion": "go1.26", "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1.0", "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
	})
}

func (e *Engine) serveInfo(w http.ResponseWriter) {
	e.mu.Lock()
	total, running, paused := len(e.order), 0, 0
	for _, c := range e.order {
		switch c.state {
		case "running":
			running++
		case "paused":
			paused++
		}
	}
	info := map[string]any{
		"ID": "DOCK:ERTE:STFA:KEEN:GINE", "Name": "dockertest", "ServerVersion": e.api.release(), "Driver": "overlay2", "LoggingDriver": "json-file",
		"Containers": total, "ContainersRunning": running, "ContainersPaused": paused, "ContainersStopped": total - running - paused,
		"DockerRootDir": "/var/lib/docker", "OSType": "linux", "Architecture": "x86_64", "OperatingSystem": "dockertest", "LiveRestoreEnabled": e.liveRestore,
	}
	e.mu.Unlock()
	reply(w, http.StatusOK, info)
}

// find looks a container up by id, name or a prefix of the id that fits only one.
func (e *Engine) find(ref string) (*Ctr, *apiError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.byID[ref]; c != nil {
		return c, nil
	}
	if c := e.byName[strings.TrimPrefix(ref, "/")]; c != nil {
		return c, nil
	}
	var found *Ctr
	for _, c := range e.order {
		if strings.HasPrefix(c.ID, ref) {
			if found != nil {
				return nil, &apiError{http.StatusBadRequest, "multiple IDs found with provided prefix: " + ref}
			}
			found = c
		}
	}
	if found == nil {
		return nil, &apiError{http.StatusNotFound, "No such container: " + ref}
	}
	return found, nil
}

type summary struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	ImageID    string
	Command    string
	Created    int64
	Ports      []struct{}
	Labels     map[string]string
	State      string
	Status     string
	HostConfig map[string]string
	Mounts     []struct{}
}

// serveList answers newest first, like dockerd. The filters id, name, label and status are honoured, others ignored.
func (e *Engine) serveList(w http.ResponseWriter, r *http.Request) {
	filters, err := parseFilters(r.FormValue("filters"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	all := boolValue(r, "all") || len(filters["status"]) > 0
	now := e.now()
	e.mu.Lock()
	list := make([]summary, 0, len(e.order))
	for _, c := range slices.Backward(e.order) {
		if !all && !c.runningLocked() || !c.matchesLocked(filters) {
			continue
		}
		if c.hideFromLists > 0 {
			c.hideFromLists--
			continue
		}
		list = append(list, summary{
			ID: c.ID, Names: []string{"/" + c.name}, Image: c.listedImageLocked(), ImageID: c.imageID(), Command: "/app", Created: c.created.Unix(), Ports: []struct{}{},
			Labels: c.labels(), State: c.state, Status: c.statusLocked(now), HostConfig: map[string]string{"NetworkMode": "bridge"}, Mounts: []struct{}{},
		})
	}
	e.mu.Unlock()
	reply(w, http.StatusOK, list)
}

func (c *Ctr) matchesLocked(f filters) bool {
	return f.match("status", func(v string) bool { return v == c.state }) &&
		f.match("id", func(v string) bool { return strings.HasPrefix(c.ID, v) }) &&
		f.match("name", func(v string) bool { return strings.Contains("/"+c.name, v) }) &&
		f.match("label", func(v string) bool { return hasLabel(c.spec.Labels, v) })
}

// listedImageLocked is how the list names the image: by its id once the name stands for another.
func (c *Ctr) listedImageLocked() string {
	if c.untagged {
		return c.imageID()
	}
	return c.spec.Image
}

// Untag moves the tag of the container's image to another image, as a pull does: the list names the image by its id from then on, the
// inspect as the container was created with.
func (c *Ctr) Untag() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.untagged = true
}

func (c *Ctr) imageID() string { return fmt.Sprintf("sha256:%064x", len(c.spec.Image)) }

func (c *Ctr) labels() map[string]string {
	if c.spec.Labels == nil {
		return map[string]string{}
	}
	return c.spec.Labels
}

func (c *Ctr) statusLocked(now time.Time) string {
	switch c.state {
	case "running":
		return fmt.Sprintf("Up %d seconds", int(now.Sub(c.started).Seconds()))
	case "paused":
		return fmt.Sprintf("Up %d seconds (Paused)", int(now.Sub(c.started).Seconds()))
	case "exited":
		return fmt.Sprintf("Exited (%d) %d seconds ago", c.exitCode, int(now.Sub(c.ended).Seconds()))
	}
	return "Created"
}

func (e *Engine) serveInspect(w http.ResponseWriter, c *Ctr) {
	e.mu.Lock()
	logPath := ""
	if !c.started.IsZero() {
		logPath = c.logPath()
	}
	driver, opts := c.spec.Driver, c.spec.logOpts()
	if e.podman != "" {
		opts = nil
		if driver == k8sFile {
			driver, logPath = "json-file", c.logPath() // also before the first start
		}
	}
	details := map[string]any{
		"Id": c.ID, "Name": "/" + c.name, "Created": stamp(c.created), "Path": "/app", "Args": []string{}, "Image": c.imageID(), "LogPath": logPath, "RestartCount": 0,
		"Driver": "overlay2", "Platform": "linux",
		"State": map[string]any{
			"Status": c.state, "Running": c.runningLocked(), "Paused": c.state == "paused", "Restarting": false, "OOMKilled": false, "Dead": false,
			"Pid": c.pid, "ExitCode": c.exitCode, "Error": "", "StartedAt": stamp(c.started), "FinishedAt": stamp(c.ended),
		},
		"HostConfig": map[string]any{
			"LogConfig": map[string]any{"Type": driver, "Config": opts}, "NetworkMode": "bridge", "AutoRemove": c.spec.AutoRemove,
		},
		"Config": map[string]any{
			"Hostname": c.ID[:min(12, len(c.ID))], "Tty": c.spec.TTY, "Image": c.spec.Image, "Labels": c.labels(), "Env": append([]string{}, c.spec.Env...), "Cmd": []string{"/app"},
		},
		"NetworkSettings": map[string]any{"Networks": map[string]any{}},
	}
	e.mu.Unlock()
	reply(w, http.StatusOK, details)
}

// stamp formats as the API does; the zero time is year 1.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// boolValue is dockerd's idea of a true parameter.
func boolValue(r *http.Request, key string) bool {
	switch strings.ToLower(strings.TrimSpace(r.FormValue(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// filters are the values wanted for each key; a key that is not there matches.
type filters map[string][]string

func parseFilters(s string) (filters, error) {
	if s == "" {
		return nil, nil
	}
	var lists filters
	if json.Unmarshal([]byte(s), &lists) == nil {
		return lists, nil
	}
	var sets map[string]map[string]bool
	if err := json.Unmarshal([]byte(s), &sets); err != nil {
		return nil, fmt.Errorf("invalid filter: %w", err)
	}
	lists = filters{}
	for k, set := range sets {
		for v, on := range set {
			if on {
				lists[k] = append(lists[k], v)
			}
		}
	}
	return lists, nil
}

func (f filters) match(key string, ok func(string) bool) bool {
	return len(f[key]) == 0 || slices.ContainsFunc(f[key], ok)
}

func hasLabel(labels map[string]string, want string) bool {
	k, v, exact := strings.Cut(want, "=")
	got, ok := labels[k]
	return ok && (!exact || got == v)
}
