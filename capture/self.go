package capture

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"fluent-bit-docker-logs/capture/container"
)

// ownContainer is what is known of the container that this process runs in. Its
// id is certain by the cgroup, or when an inspect names the layer that is mounted
// at /; the mounts of the Engine's files in /etc are those of another container
// where the network is shared (network_mode: service:...).
type ownContainer struct {
	upper string // the writable layer of /, empty if unknown
	maybe string // by the mounts in /etc
	id    *atomic.Pointer[string]
	said  *atomic.Bool
}

var (
	// ownMount matches the mount of a file that the Engine puts into every
	// container: field 4 of /proc/self/mountinfo is the file's path on the host,
	// field 5 where it appears. On the host itself, where the mounts of all
	// containers show, it does not match.
	ownMount = regexp.MustCompile(`/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)
	// ownRoot matches the mount at / of a container whose layers are an overlay.
	ownRoot = regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S+ / .* - overlay .*upperdir=([^,\s]+)`)
	// ownCgroup matches the path of a container in /proc/self/cgroup, where it is
	// not hidden by a namespace.
	ownCgroup = regexp.MustCompile(`(?m)(?:/docker/|/docker-)([0-9a-f]{64})(?:\.scope)?$`)
)

func findOwn() ownContainer {
	mounts, _ := os.ReadFile("/proc/self/mountinfo") // without it, in no container
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	return ownContainerIn(string(mounts), string(cgroup))
}

func ownContainerIn(mountinfo, cgroup string) ownContainer {
	own := ownContainer{id: new(atomic.Pointer[string]), said: new(atomic.Bool)}
	for line := range strings.Lines(mountinfo) {
		if m := ownMount.FindStringSubmatch(line); m != nil {
			own.maybe = m[1]
			break
		}
	}
	if own.maybe == "" {
		return own // on the host
	}
	if m := ownRoot.FindStringSubmatch(mountinfo); m != nil {
		own.upper = m[1]
	}
	if m := ownCgroup.FindStringSubmatch(cgroup); m != nil {
		own.id.Store(&m[1])
	}
	return own
}

// get is the own container's id, "" if it is not known, or there is none.
func (o *ownContainer) get() string {
	if o.id != nil {
		if id := o.id.Load(); id != nil {
			return *id
		}
	}
	return ""
}

// is says whether c, as inspected, is the own container. Where an Engine names no
// layers the mounts are all there is.
func (o *ownContainer) is(c *container.Container) bool {
	if id := o.get(); id != "" || o.maybe == "" {
		return id != "" && id == c.ID
	}
	if o.upper != "" && c.UpperDir != "" {
		return layer(o.upper) == layer(c.UpperDir)
	}
	return o.maybe == c.ID
}

// layer is what names a layer within the Engine's directory, which may be mounted
// at different places here and there.
func layer(dir string) string {
	return filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
}

// recognise says, once, that an inspected container is the own one.
func (o *ownContainer) recognise(log *slog.Logger, c *container.Container) {
	if !o.is(c) {
		return
	}
	if !o.said.Swap(true) {
		log.Info("the own container is left out (Exclude_Self)", "container", c.Name, "id", container.ShortID(c.ID))
	}
	o.id.Store(&c.ID)
}
