package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
	"github.com/docker/go-units"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/position"
)

// Decisions the callers make by errors.Is.
var (
	ErrGone       = errors.New("the container is gone or being removed")
	ErrUnreadable = errors.New("the log driver cannot be read")
	ErrDown       = errors.New("the Engine does not answer")
	ErrRefused    = errors.New("refused by the Engine, or by a proxy in front of it")
)

const (
	// CallTimeout bounds a call that a healthy Engine answers at once.
	CallTimeout = 30 * time.Second
	// ProbeTimeout bounds the question whether a stream is behind. It bounds the
	// opening of the log for a rotation, too.
	ProbeTimeout = 10 * time.Second
	// MaxOpens bounds how many logs are opened at the same time. Without it a
	// restart of the Engine would bring all streams upon it at once.
	MaxOpens = 16
)

// TLS names the files for a tcp:// Engine that wants TLS.
type TLS struct {
	On            bool // TLS is spoken
	CA, Cert, Key string
	Verify        bool
	Skip          bool // the certificate is not verified unless the option says so
}

// TakeFrom takes over the certificates that a directory has.
func (t *TLS) TakeFrom(dir string) {
	for name, file := range map[string]*string{"ca.pem": &t.CA, "cert.pem": &t.Cert, "key.pem": &t.Key} {
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if err != nil || *file != "" {
			continue
		}
		_ = f.Close()
		*file, t.On = path, true
	}
}

// Client is the Engine's API, read only (GET and HEAD). Its client is
// replaced by each connect, because a client never raises its API version
// again while Engines are up- and downgraded under a running agent.
type Client struct {
	host  string
	tls   TLS
	dial  func(context.Context) (net.Conn, error) // nil: to host
	attrs bool                                    // log options are looked at
	cli   atomic.Pointer[client.Client]
	open  atomic.Int64 // connections

	gated atomic.Int64 // those of them that Go's poller does not watch

	podman atomic.Bool // it is Podman that answers, as its version said last

	timeout time.Duration // of a list or an inspect

	direct *directConns // nil unless the Engine is on this host
}

// Info is what the Engine says of itself.
type Info struct {
	Name    string // Docker, or Podman
	Version string
	API     string        // version spoken with it
	Clock   time.Duration // how much its clock is ahead of ours
}

// Options are those of a Client.
type Options struct {
	Host    string // as the option Docker_Host
	TLS     TLS
	Dial    func(context.Context) (net.Conn, error) // nil: to host
	Attrs   bool                                    // log options are looked at
	Timeout time.Duration                           // of a list or an inspect; 0: callTimeout
}

// IsLocal says whether the Engine at an address is on this machine. Then its clock is
// ours, and so may its log files be.
func IsLocal(host string) bool { return strings.HasPrefix(host, "unix://") }

// New makes a client; it sends nothing yet.
func New(o Options) (*Client, error) {
	a := &Client{host: o.Host, tls: o.TLS, dial: o.Dial, attrs: o.Attrs, timeout: cmp.Or(o.Timeout, CallTimeout)}
	cli, err := a.newClient()
	if err != nil {
		return nil, fmt.Errorf("option Docker_Host: value %q: %w", o.Host, err)
	}
	a.cli.Store(cli)
	if IsLocal(o.Host) {
		a.direct = &directConns{dial: func(ctx context.Context) (net.Conn, error) { return a.cli.Load().Dialer()(ctx) }}
	}
	return a, nil
}

func (a *Client) newClient() (*client.Client, error) {
	transport, err := a.Transport()
	if err != nil {
		return nil, err
	}
	// WithHost comes after the client, whose transport it gives its dialer.
	opts := []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: transport, CheckRedirect: client.CheckRedirect}),
		client.WithHost(a.host),
		client.WithAPIVersionNegotiation(),
		func(*client.Client) error { a.countConnections(transport); return nil },
	}
	if transport.TLSClientConfig != nil {
		opts = append(opts, client.WithScheme("https"))
	}
	return client.NewClientWithOpts(opts...)
}

// Probe asks whether the Engine answers.
func (a *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	_, err := a.cli.Load().Ping(ctx)
	if err = Classify(err); errors.Is(err, ErrRefused) {
		return nil // which is an answer, too
	}
	return err
}

// Connect negotiates the API version with a new client.
func (a *Client) Connect(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	cli, err := a.newClient()
	if err != nil {
		return Info{}, err
	}
	ping, err := cli.Ping(ctx)
	if err = Classify(err); errors.Is(err, ErrRefused) {
		if ping.APIVersion, err = a.askVersion(ctx, cli.HTTPClient()); err != nil { // says what a ping does
			err = fmt.Errorf("asking for /_ping and /version: %w", Classify(err))
		}
	}
	if err != nil {
		_ = cli.Close()
		return Info{}, err
	}
	cli.NegotiateAPIVersionPing(ping)
	_ = a.cli.Swap(cli).Close() // idle connections only
	info := Info{API: cli.ClientVersion(), Name: "Docker", Version: "unknown"}
	// A proxy in front of the socket may refuse these two.
	if v, err := cli.ServerVersion(ctx); err == nil {
		info.Version = v.Version
		a.podman.Store(isPodman(&v))
	} else if v := a.podmanVersion(ctx, cli.HTTPClient()); v != "" {
		info.Version = v
		a.podman.Store(true)
	}
	if a.IsPodman() {
		info.Name = "Podman"
	}
	if IsLocal(a.host) {
		return info, nil // its clock is ours
	}
	asked := time.Now()
	if sys, err := cli.Info(ctx); err == nil {
		if t, err := time.Parse(time.RFC3339Nano, sys.SystemTime); err == nil {
			info.Clock = t.Sub(asked.Add(time.Since(asked) / 2))
		}
	}
	return info, nil
}

// Close closes the idle connections; those in use close with their request.
func (a *Client) Close() error {
	if a.direct != nil {
		a.direct.closeIdle()
	}
	return a.cli.Load().Close()
}

// CloseIdle closes the idle connections and returns how many those were.
func (a *Client) CloseIdle() int {
	before := a.Connections()
	_ = a.Close() // it goes on: only idle connections are closed
	return before - a.Connections()
}

// Connections is the number of connections that are open.
func (a *Client) Connections() int { return int(a.open.Load()) }

// OlderThan says whether a Docker Engine answers that speaks an older API. Podman
// names one, too, but has its own ways.
func (a *Client) OlderThan(version string) bool {
	return !a.IsPodman() && versions.LessThan(a.cli.Load().ClientVersion(), version)
}

// List returns every container, running or not.
func (a *Client) List(ctx context.Context) ([]*container.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	sums, err := a.cli.Load().ContainerList(ctx, containertypes.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", Classify(err))
	}
	cs := make([]*container.Container, 0, len(sums))
	for i := range sums {
		s := &sums[i]
		c := &container.Container{ID: s.ID, Image: s.Image, Labels: s.Labels, Running: isRunning(s.State), Created: s.Created * 1e9, LongOver: longOver(s.Status)}
		for _, n := range s.Names {
			// A linked container has further names of the form /other/alias.
			if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
				c.Name = n
				break
			}
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func isRunning(state string) bool {
	return state == "running" || state == "paused" || state == "restarting"
}

// longOver says whether a container's status in a list, as "Exited (0) 3 hours
// ago", tells of a run that ended at least an hour ago.
func longOver(status string) bool {
	for _, unit := range []string{" hour", " day", " week", " month", " year"} {
		if strings.Contains(status, unit) && strings.HasPrefix(status, "Exited") {
			return true
		}
	}
	return false
}

// Inspect returns all that is known of one container.
func (a *Client) Inspect(ctx context.Context, id string) (*container.Container, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	asked := time.Now()
	r, err := a.cli.Load().ContainerInspect(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("inspecting: %w", Classify(err))
	}
	if r.ContainerJSONBase == nil || r.Config == nil || r.State == nil || r.ID == "" {
		return nil, errors.New("inspecting: the answer lacks parts")
	}
	c := &container.Container{
		ID:      r.ID,
		Name:    strings.TrimPrefix(r.Name, "/"),
		Image:   r.Config.Image,
		Labels:  r.Config.Labels,
		TTY:     r.Config.Tty,
		Running: r.State.Running,
		LogPath: r.LogPath,
	}
	if r.HostConfig != nil {
		c.Driver = r.HostConfig.LogConfig.Type
		if c.Driver == container.JSONFile && a.IsPodman() {
			c.Driver = container.K8sFile // which it calls like that for Docker's clients
		}
		c.AutoRemove = r.HostConfig.AutoRemove
		c.MaxSize, c.MaxFile = fileLimits(r.HostConfig.LogConfig.Config)
		c.Compressed = compresses(c.Driver, r.HostConfig.LogConfig.Config["compress"])
		if a.attrs {
			c.Attrs = container.AttrsOf(c, r.Image, r.HostConfig.LogConfig.Config, r.Config.Env)
		}
	}
	c.UpperDir = r.GraphDriver.Data["UpperDir"]
	c.Created = parseEngineTime(r.Created)
	c.LastRun = container.LastRun{StartedAt: parseEngineTime(r.State.StartedAt), FinishedAt: parseEngineTime(r.State.FinishedAt)}
	c.SeenAt = asked.UnixNano()
	return c, nil
}

// fileLimits reads the options of the json-file driver as that does.
func fileLimits(opts map[string]string) (maxSize int64, maxFile int) {
	if n, err := units.FromHumanSize(opts["max-size"]); err == nil && n > 0 {
		maxSize = n
	}
	maxFile, _ = strconv.Atoi(opts["max-file"])
	return maxSize, max(1, maxFile)
}

// compresses says whether a driver compresses its rotated files: local does unless
// it is told otherwise.
func compresses(driver, option string) bool {
	on, err := strconv.ParseBool(option)
	return on || err != nil && driver == "local"
}

// parseEngineTime returns 0 for what is no time and for the Engine's zero
// time, year 1.
func parseEngineTime(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1970 {
		return 0
	}
	return t.UnixNano()
}

// Logs opens a container's log with timestamps and both std streams. It begins
// with the tail-th record from the end; position.Everything is all of it. Where
// tail is position.ByTime it is opened at the first record that is newer than
// since, in seconds since 1970. The caller closes the body, also after an error
// of a read.
func (a *Client) Logs(ctx context.Context, id string, follow bool, tail int, since int64) (io.ReadCloser, error) {
	opts := containertypes.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow, Tail: "all"}
	switch tail {
	case position.Everything:
	case position.ByTime:
		opts.Since = strconv.FormatInt(since, 10)
	default:
		opts.Tail = strconv.Itoa(tail)
	}
	body, err := a.openLogs(ctx, id, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", Classify(err))
	}
	return body, nil
}

func (a *Client) openLogs(ctx context.Context, id string, opts containertypes.LogsOptions) (io.ReadCloser, error) {
	cli := a.cli.Load()
	if a.direct != nil && !opts.Follow {
		path := "/v" + cli.ClientVersion() + "/containers/" + id + "/logs?stdout=1&stderr=1&timestamps=1&tail=" + opts.Tail
		if opts.Since != "" {
			path += "&since=" + opts.Since
		}
		body, err := a.direct.get(ctx, path)
		if !errors.Is(err, errStatus) {
			return body, err
		}
		// The client knows what the Engine's errors mean.
	}
	return cli.ContainerLogs(ctx, id, opts)
}

// Event is a container event that the capture acts on.
type Event struct {
	Name      string               // create, start, kill, die, destroy, rename
	Container *container.Container // as far as the event tells
	At        int64                // by the Engine's clock, nanoseconds since 1970
}

// Watch subscribes to container events since a moment of the Engine's clock.
// It returns when the Engine has answered; wait then delivers the events to f
// until the subscription ends or ctx is done, and always returns an error.
func (a *Client) Watch(ctx context.Context, since time.Time) (wait func(f func(Event)) error) {
	ctx, cancel := context.WithCancel(ctx)
	args := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)))
	for _, name := range []string{"create", "start", "kill", "die", "destroy", "rename", podmanDie, podmanDestroy} {
		args.Add("event", name)
	}
	late := time.AfterFunc(CallTimeout, cancel)
	msgs, errs := a.cli.Load().Events(ctx, events.ListOptions{
		Since:   fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()),
		Filters: args,
	})
	late.Stop()
	return func(f func(Event)) error {
		defer func() {
			cancel()
			for range errs { // closed when the library's goroutine has ended
			}
		}()
		for {
			select {
			case m := <-msgs:
				if m.Type == events.ContainerEventType && m.Actor.ID != "" {
					f(Event{nameOf(m.Action), &container.Container{
						ID:     m.Actor.ID,
						Name:   strings.TrimPrefix(m.Actor.Attributes["name"], "/"),
						Image:  m.Actor.Attributes["image"],
						Labels: m.Actor.Attributes, // and more than the labels
					}, m.TimeNano})
				}
			case err, ok := <-errs:
				if !ok || err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("watching events: %w", Classify(err))
			}
		}
	}
}

// Classify marks an error of the library with what it asks for. The message
// stays the library's.
func Classify(err error) error {
	mark := func(m error) error { return fmt.Errorf("%w (%w)", err, m) }
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errdefs.IsNotFound(err), errdefs.IsConflict(err), isGoneByPodman(err):
		return mark(ErrGone)
	case errdefs.IsNotImplemented(err), isUnreadableByPodman(err):
		return mark(ErrUnreadable)
	case client.IsErrConnectionFailed(err), errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), isNetError(err):
		return mark(ErrDown)
	case errdefs.IsPermissionDenied(err), errdefs.IsUnauthorized(err):
		return mark(ErrRefused)
	}
	return err
}

// Cause is why a request of ours failed. Where we cancelled it that is our own
// reason.
func Cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}
