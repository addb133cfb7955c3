package containers

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"

	"fluent-bit-docker-logs/capture/dockertest/logfile"
	"fluent-bit-docker-logs/capture/dockertest/podman"
)

// Container says what [Set.Create] makes. The zero value is a container of alpine with a name of its own that logs to memory as json-file does.
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

// LogPath is where the log file is, or would be.
// It would be if the container had a LogDir: without, it is a path as on a host whose files are not mounted here.
func (s *Container) LogPath() string {
	if s.Driver == podman.Driver {
		dir := s.LogDir
		if dir == "" {
			dir = "/var/lib/containers/storage/overlay-containers"
		}
		return filepath.Join(dir, s.ID, "userdata", "ctr.log")
	}
	if s.Driver != "json-file" {
		return ""
	}
	dir := s.LogDir
	if dir == "" {
		dir = "/var/lib/docker/containers"
	}
	return filepath.Join(dir, s.ID, s.ID+"-json.log")
}

func (s *Container) files() logfile.Options {
	return logfile.Options{MaxSize: s.MaxSize, MaxFile: s.MaxFile, Compress: s.Compress, CRI: s.Driver == podman.Driver}
}

// DriverOpts are the options of its log driver.
func (s *Container) DriverOpts() map[string]string {
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

// ImageID is the id of the image.
func (s *Container) ImageID() string { return fmt.Sprintf("sha256:%064x", len(s.Image)) }
