package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"fluent-bit-docker-logs/capture/checkpoint"
	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/lines"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/status"
	"fluent-bit-docker-logs/capture/stream"
)

// Config is the checked configuration of one Collector. ParseConfig makes it
// from text; it is immutable afterwards.
type Config struct {
	DockerHost string // URL of the Engine: unix:// or tcp://
	TLS        engine.TLS
	Reader     string // "auto", "file", "follow", "poll"

	Include, Exclude container.Selectors
	ExcludeSelf      bool
	Stdout, Stderr   bool // which std streams become records
	StartFrom        checkpoint.Start
	Labels           container.LabelChoice // container labels that become record keys
	LabelKeys        string                // "flat", "map", "dotted": in which form
	LogAttrs         bool                  // what log options ask for becomes record keys too

	Multiline lines.Languages // whose stack traces become one record each

	LogKey      string // record key of the text of a line
	MaxLineSize int    // bytes of text
	BatchSize   int    // bytes of msgpack a batch is sealed at
	BufferLimit int    // bytes of msgpack that may wait for Fluent Bit
	TagTemplate string // empty: the instance's own tag

	ResyncInterval time.Duration

	MaxStreams       int     // follow streams of Reader auto
	ActiveRate       float64 // lines per second
	IdleAfter        time.Duration
	PollMin, PollMax time.Duration

	RotateInterval    time.Duration
	RotationLogLevel  string // "off", "debug", "info", "warn"
	HeartbeatInterval time.Duration
	TaskTimeout       time.Duration

	FDWarn, FDLimit int // descriptors of the process; 0: by how many it may have

	MetricsListen string // host:port of the endpoint; empty: none
	PerContainer  string // which containers have metrics of their own: "off", "on", "all"

	DB     string        // the checkpoint's file; empty: positions are kept in memory
	DBSync time.Duration // how often it is written

	turnsSilent bool          // streams that were silent are rotated as often as others
	callTimeout time.Duration // of a list or an inspect; 0 is the usual one
	// dial connects to the Engine in a simulation, where log files are not
	// watched either: virtual time knows nothing of the kernel. Usually nil.
	dial      func(context.Context) (net.Conn, error)
	unwatched bool // log files are not watched
	// follows says in a simulation whether no log file was created between two
	// inodes, or after the first (0), which else the kernel tells. Usually nil.
	follows func(id string, old, next uint64) bool
}

// minTaskTimeout is the least Task_Timeout. The longest that a task may wait
// without a heartbeat, for one answer of the Engine, must be within it.
const minTaskTimeout = 2 * engine.CallTimeout

// Option is one row of the option table. The table drives ParseConfig,
// Fluent Bit's config_map, conf/README.md and the example configurations.
type Option struct {
	Key     string // as written in fluent-bit.conf; matched in any case
	Default string // text of the default; empty is "not set"
	Allowed string // what a value may be, in words for an error message
	Help    string // one line

	set func(*Config, string) error
}

var errNotAllowed = errors.New("value not allowed")

// Options returns the option table, in the order of conf/README.md.
func Options() []Option { return options }

var options = []Option{
	{"Docker_Host", "", "unix:///path, or tcp://host:port",
		"The Engine's address; not set: $DOCKER_HOST, else that of the Docker context in use, else the local socket, of root or of the user.",
		func(c *Config, v string) error { return parseHost(c, v) }},
	{"Docker_TLS_CA", "", "a file's path", "Certificate authority of a tcp:// Engine (PEM).",
		func(c *Config, v string) error { return parseFile(&c.TLS.CA, v) }},
	{"Docker_TLS_Cert", "", "a file's path", "Client certificate for a tcp:// Engine (PEM).",
		func(c *Config, v string) error { return parseFile(&c.TLS.Cert, v) }},
	{"Docker_TLS_Key", "", "a file's path", "Key of the client certificate (PEM).",
		func(c *Config, v string) error { return parseFile(&c.TLS.Key, v) }},
	{"Docker_TLS_Verify", "on", "on or off", "Verify the Engine's certificate; on, with tcp://, asks for TLS, as do the files above, port 2376 and the variables DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.",
		func(c *Config, v string) error { return parseBool(&c.TLS.Verify, v) }},
	{"Reader", "auto", "auto, file, follow or poll",
		"How logs are read: the json-file driver's own files, follow streams of the API, the API asked now and then, or auto: the files where possible, else follow streams for containers that write and polls for quiet ones.",
		func(c *Config, v string) error {
			return parseOneOf(&c.Reader, v, stream.Auto, stream.File, stream.Follow, stream.Poll)
		}},
	{"Max_Streams", "200", "a number between 1 and 10000", "With Reader auto, the follow streams at most; beyond it the quietest containers are polled. Those run with --rm are followed up to twice as many.",
		func(c *Config, v string) error { return parseInt(&c.MaxStreams, v, 1, 10000) }},
	{"Active_Rate", "1", "lines per second, between 0.01 and 1000", "With Reader auto, a container that is polled is followed from this rate on, and polled again below half of it.",
		func(c *Config, v string) error { return parseFloat(&c.ActiveRate, v, 0.01, 1000) }},
	{"Idle_After", "1m", "a duration between 1s and 1h", "With Reader auto, how long a container must be quiet to be polled.",
		func(c *Config, v string) error { return parseDuration(&c.IdleAfter, v, time.Second, time.Hour) }},
	{"Poll_Min", "1s", "a duration between 100ms and 1m", "Time between two polls of a log that had something new.",
		func(c *Config, v string) error {
			return parseDuration(&c.PollMin, v, 100*time.Millisecond, time.Minute)
		}},
	{"Poll_Max", "15s", "a duration between 100ms and 1h, not below Poll_Min", "Time between two polls of a log without news, towards which it doubles.",
		func(c *Config, v string) error {
			return parseDuration(&c.PollMax, v, 100*time.Millisecond, time.Hour)
		}},
	{"Rotate_Interval", "30s", "a duration between 1s and 24h", "How often a stream is opened anew where it was; not all at the same moment. One that was silent since is left as it is, for ten times this or 5 minutes at most.",
		func(c *Config, v string) error {
			return parseDuration(&c.RotateInterval, v, time.Second, 24*time.Hour)
		}},
	{"Rotation_Log_Level", "info", "off, debug, info or warn", "Level at which stream rotations are logged; with more than 20 streams one line per Rotate_Interval for all.",
		func(c *Config, v string) error {
			return parseOneOf(&c.RotationLogLevel, v, "off", "debug", "info", "warn")
		}},
	{"Heartbeat_Interval", "30s", "a duration between 1s and 1h", "How often a silent stream is checked: one whose log grows is opened anew.",
		func(c *Config, v string) error {
			return parseDuration(&c.HeartbeatInterval, v, time.Second, time.Hour)
		}},
	{"Task_Timeout", "5m", "a duration between 1m and 24h, not below twice Heartbeat_Interval", "A task that gives no heartbeat for so long is cancelled and started again.",
		func(c *Config, v string) error {
			return parseDuration(&c.TaskTimeout, v, minTaskTimeout, 24*time.Hour)
		}},
	{"FD_Warn", "auto", "auto, or a number between 10 and 1000000", "Open file descriptors of the whole process above which a warning is logged; auto: 500 of each 800 of FD_Limit.",
		func(c *Config, v string) error { return parseAuto(&c.FDWarn, v, 10, 1_000_000) }},
	{"FD_Limit", "auto", "auto, or a number between 10 and 1000000, not below FD_Warn", "Open file descriptors of the process above which the capture gives up some of its own, where that helps; auto: 800 of each 1,024 that the process may have; never more than 80 % of these.",
		func(c *Config, v string) error { return parseAuto(&c.FDLimit, v, 10, 1_000_000) }},
	{"Metrics_Listen", "127.0.0.1:8001", "off, or host:port", "Where metrics, health and a page are served over HTTP, for all inputs that name the same address.",
		func(c *Config, v string) error { return parseListen(&c.MetricsListen, v) }},
	{"Metrics_Per_Container", "on", "on, off or all", "Metrics of each container that is a minute old, besides those of all together; all: from its first moment on.",
		func(c *Config, v string) error {
			var on bool
			if parseBool(&on, v) == nil {
				v = map[bool]string{true: status.PerContainerOn, false: status.PerContainerOff}[on]
			}
			return parseOneOf(&c.PerContainer, v, status.PerContainerOn, status.PerContainerOff, status.PerContainerAll)
		}},
	{"Include", "", "comma-separated key=glob, key one of " + container.SelectorKeys,
		"Only containers that match one of these; not set: all.",
		func(c *Config, v string) error { return container.ParseSelectors(&c.Include, v) }},
	{"Exclude", "", "comma-separated key=glob, key one of " + container.SelectorKeys,
		"Not the containers that match one of these.",
		func(c *Config, v string) error { return container.ParseSelectors(&c.Exclude, v) }},
	{"Exclude_Self", "on", "on or off", "Leave out the container that Fluent Bit itself runs in.",
		func(c *Config, v string) error { return parseBool(&c.ExcludeSelf, v) }},
	{"Streams", "stdout,stderr", "stdout, stderr, or both separated by a comma",
		"Which of a container's two std streams become records.", parseStreams},
	{"Start_From", "now", "now, beginning, a duration such as 10m, or tail:N",
		"Where to begin with containers that already ran at the first start.",
		func(c *Config, v string) error { return parseStart(&c.StartFrom, v) }},
	{"Labels", "off", "off, or comma-separated globs of label names, and any of " + container.ShortNameList("", ""),
		"Container labels to add to each record, as Label_Keys says; a short name, as swarm_service, is a key of its own.",
		func(c *Config, v string) error { return container.ParseLabels(&c.Labels, v) }},
	{"Label_Keys", record.KeysFlat, "flat, map or dotted",
		"How labels stand in a record: flat, label_<name> with _ for each character but letters, digits and _; map, a map labels; dotted, label.<name>, which Fluent Bit's filters and outputs cannot name.",
		func(c *Config, v string) error {
			return parseOneOf(&c.LabelKeys, v, record.KeysFlat, record.KeysMap, record.KeysDotted)
		}},
	{"Log_Attrs", "off", "on or off",
		"Add what the container's log options tag, labels and env ask for (attrs of the json-file driver): as attr_<name>, the map attrs or attr.<name>, by Label_Keys.",
		func(c *Config, v string) error { return parseBool(&c.LogAttrs, v) }},
	{"Log_Key", "log", "a record key, not one that the record uses or may use otherwise",
		"Key of the line's text in the record.", parseLogKey},
	{"Multiline", "off", "off, or any of java, python, go, ruby, separated by commas",
		"Stack traces become one record each, joined per container and std stream; java also reads those of Node.js and .NET. A container's label fluentbit.io/multiline takes the option's place.",
		func(c *Config, v string) (err error) { c.Multiline, err = lines.LanguagesOf(v); return err }},
	{"Max_Line_Size", "1M", "a size between 1k and 16M",
		"A longer line is cut there, flagged partial=true and counted.",
		func(c *Config, v string) error { return parseSize(&c.MaxLineSize, v, 1<<10, 16<<20) }},
	{"Batch_Size", "64k", "a size between 4k and 256k",
		"Bytes handed to Fluent Bit in one append.",
		func(c *Config, v string) error { return parseSize(&c.BatchSize, v, 4<<10, 256<<10) }},
	{"Buffer_Limit", "8M", "a size between 1M and 1G",
		"Bytes that may wait for Fluent Bit before reading stops.",
		func(c *Config, v string) error { return parseSize(&c.BufferLimit, v, 1<<20, 1<<30) }},
	{"Tag_Template", "", "text with any of " + record.TagPlaceholders,
		"A tag per container; not set: one tag for all (recommended).",
		func(c *Config, v string) error { return record.ParseTagTemplate(&c.TagTemplate, v) }},
	{"Resync_Interval", "1m", "a duration between 1s and 1h",
		"How often the list of containers is compared with what is captured.",
		func(c *Config, v string) error { return parseDuration(&c.ResyncInterval, v, time.Second, time.Hour) }},
	{"DB", "", "a file's path in a directory that exists", "File that keeps the positions across restarts; not set: in memory only.",
		func(c *Config, v string) error { return parseDB(&c.DB, v) }},
	{"DB_Sync", "1s", "a duration between 100ms and 1m", "How often DB is written when positions changed; also at exit.",
		func(c *Config, v string) error { return parseDuration(&c.DBSync, v, 100*time.Millisecond, time.Minute) }},
}

// ParseConfig reads every option of the table through get. That returns "" for
// a key that is not set. The error names the option, the value and what is
// allowed.
func ParseConfig(get func(key string) string) (Config, error) {
	var c Config
	verify := strings.TrimSpace(get("Docker_TLS_Verify"))
	for _, o := range options {
		v := strings.TrimSpace(get(o.Key))
		given := v != ""
		if !given {
			v = o.Default
		}
		if err := o.set(&c, v); err != nil {
			detail := ""
			if !errors.Is(err, errNotAllowed) {
				detail = ": " + err.Error()
			}
			if !given {
				return Config{}, fmt.Errorf("option %s (not set)%s; allowed: %s", o.Key, detail, o.Allowed)
			}
			return Config{}, fmt.Errorf("option %s: value %q is not allowed%s; allowed: %s", o.Key, redact(v), detail, o.Allowed)
		}
	}
	if c.Reader == stream.File && !engine.IsLocal(c.DockerHost) {
		return Config{}, fmt.Errorf("option Reader: value \"file\" needs an Engine on this host (Docker_Host unix://...), not %q", c.DockerHost)
	}
	if c.PollMax < c.PollMin {
		return Config{}, fmt.Errorf("option Poll_Max: value %q is not allowed; allowed: not below Poll_Min, %v", c.PollMax, c.PollMin)
	}
	if c.TaskTimeout < 2*c.HeartbeatInterval {
		return Config{}, fmt.Errorf("option Task_Timeout: value %q is not allowed; allowed: not below twice Heartbeat_Interval, %v", c.TaskTimeout, 2*c.HeartbeatInterval)
	}
	if c.FDLimit != 0 && c.FDLimit < c.FDWarn {
		return Config{}, fmt.Errorf("option FD_Limit: value \"%d\" is not allowed; allowed: not below FD_Warn, %d", c.FDLimit, c.FDWarn)
	}
	if err := c.useTLS(verify); err != nil {
		return Config{}, err
	}
	return c, nil
}

// watches says whether the kernel tells when log files are written to.
func (c *Config) watches() bool {
	return c.Reader != stream.Follow && c.Reader != stream.Poll && c.dial == nil && !c.unwatched
}
