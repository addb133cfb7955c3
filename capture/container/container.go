package container

// Container is what the capture knows of one container.
type Container struct {
	ID     string // 64 hex digits
	Name   string // without the leading slash
	Image  string // as the container was created with
	Labels map[string]string
	Attrs  map[string]string // what its log options ask for, with Log_Attrs, after an inspect

	// The rest is known after an inspect only.
	TTY     bool
	Running bool
	Created int64 // nanoseconds since 1970
	LastRun
	SeenAt  int64  // when it was asked for, by our clock
	Driver  string // log driver
	LogPath string // of the json-file driver, as the Engine's host names it
	MaxSize int64  // of one file of it, in bytes; 0 if there is no log rotation
	MaxFile int    // how many files of it the Engine keeps
	// AutoRemove: it is removed as soon as it stops, and its log with it.
	AutoRemove bool

	// UpperDir is the writable layer, where the Engine tells.
	UpperDir string

	// LongOver is known after a list only: it has not run for an hour.
	LongOver bool
}

// LastRun is the last run of a container, as the Engine dates it: nanoseconds
// since 1970, 0 if there was none. Two that differ are two runs; which of them
// is the later one, a clock that steps would tell wrong.
type LastRun struct {
	StartedAt  int64 `json:"started,omitempty"`
	FinishedAt int64 `json:"finished,omitempty"`
}

// LogKeeps is how many bytes of the log the Engine keeps at most, 0 if all or
// if that is not known.
func (c *Container) LogKeeps() int64 {
	if c.Driver == "local" && c.MaxSize == 0 {
		return 100e6 // its own default, about
	}
	return c.MaxSize * int64(c.MaxFile)
}

// ShortID is the id as the docker command prints it.
func ShortID(id string) string { return id[:min(12, len(id))] }
