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
	LogPath string // of a driver that has a file, as the Engine's host names it
	MaxSize int64  // of one file of it, in bytes; 0 if there is no log rotation
	MaxFile int    // how many files of it the Engine keeps
	// Compressed: the Engine compresses all of them but the newest one or two.
	Compressed bool
	// AutoRemove: it is removed as soon as it stops, and its log with it.
	AutoRemove bool

	// UpperDir is the writable layer, where the Engine tells.
	UpperDir string

	// LongOver is known after a list only: it has not run for an hour.
	LongOver bool
}

// The log drivers whose files can be read here.
const (
	JSONFile = "json-file" // Docker's
	K8sFile  = "k8s-file"  // Podman's, which its API calls by the name of the other
)

// HasFile says whether the log driver writes a readable file.
func (c *Container) HasFile() bool { return c.Driver == JSONFile || c.Driver == K8sFile }

// HasPieceTimes says whether each piece of a line has its own time. Else it has
// that of the line.
func (c *Container) HasPieceTimes() bool { return c.Driver == "journald" || c.Driver == K8sFile }

// LastRun is the last run of a container, by the Engine's clock. Times are in
// nanoseconds since 1970, 0 if there was none. Two that differ are two runs;
// which of them is the later one, a clock that steps would tell wrong.
type LastRun struct {
	StartedAt  int64 `json:"started,omitempty"`
	FinishedAt int64 `json:"finished,omitempty"`
}

// LogKeeps is how many bytes of the log the Engine keeps. It is 0 if all are
// kept, or if that is not known.
func (c *Container) LogKeeps() int64 {
	if c.Driver == "local" && c.MaxSize == 0 {
		return 100e6 // its own default, about
	}
	return c.MaxSize * int64(c.MaxFile)
}

// ShortID is the id as the docker command prints it.
func ShortID(id string) string { return id[:min(12, len(id))] }
