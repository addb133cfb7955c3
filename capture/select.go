package capture

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"fluent-bit-docker-logs/capture/container"
	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/engine"
	"fluent-bit-docker-logs/capture/reader/api"
	"fluent-bit-docker-logs/capture/record"
	"fluent-bit-docker-logs/capture/stream"
)

// sayUnmatched says which selectors match none of the containers that there are
// at the start: they may be meant for others, or be misspelt.
func (c *Config) sayUnmatched(log *slog.Logger, all []*container.Container) {
	if len(all) == 0 {
		return
	}
	if labels := &c.Labels; !labels.None() && !slices.ContainsFunc(all, labels.MatchAny) {
		log.Info("option Labels: no container that exists has a label of such a name", "containers", len(all))
	}
	for option, ss := range map[string]container.Selectors{"Include": c.Include, "Exclude": c.Exclude} {
		texts := ss.Unmatched(all)
		level, text := slog.LevelInfo, "no container that exists matches these globs of an option"
		switch {
		case len(texts) == 0:
			continue
		case option == "Include" && len(texts) == len(ss):
			level, text = slog.LevelWarn, "option Include: no container that exists matches, nothing is captured"
		}
		log.Log(context.Background(), level, text, "option", option, "globs", strings.Join(texts, ","), "containers", len(all))
	}
}

// wanted says whether the container's log is to be captured.
func (c *Config) wanted(ctr *container.Container, self string) bool {
	if c.ExcludeSelf && self != "" && ctr.ID == self {
		return false
	}
	if container.OptsOut(ctr) {
		return false
	}
	if len(c.Include) > 0 && !c.Include.Match(ctr) {
		return false
	}
	return !c.Exclude.Match(ctr)
}

// byImage says whether a selector looks at images.
func (c *Config) byImage() bool { return c.Include.ByImage() || c.Exclude.ByImage() }

// records says what the records of a machine hold.
func (c *Config) records(host string) record.Options {
	return record.Options{LogKey: c.LogKey, Labels: c.Labels, LabelKeys: c.LabelKeys, Host: host, Tag: c.TagTemplate}
}

// streams says how the logs of a machine are read, and what becomes of their lines.
func (c *Config) streams(host string) stream.Config {
	return stream.Config{
		Reader: c.Reader, Local: engine.IsLocal(c.DockerHost), MaxStreams: c.MaxStreams, IdleAfter: c.IdleAfter,
		Options:          api.Options{PollMin: c.PollMin, PollMax: c.PollMax, ActiveRate: c.ActiveRate, Rotate: c.RotateInterval, Heartbeat: c.HeartbeatInterval},
		RotationLogLevel: c.RotationLogLevel, TurnsSilent: c.turnsSilent,
		Std: [3]bool{decode.Stdout: c.Stdout, decode.Stderr: c.Stderr}, MaxLine: c.MaxLineSize, Multiline: c.Multiline, Records: c.records(host), Follows: c.follows,
	}
}
