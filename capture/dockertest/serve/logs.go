package serve

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/listen"
	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/store"
	"fluent-bit-docker-logs/capture/dockertest/streams"
	"fluent-bit-docker-logs/capture/dockertest/version"
	"fluent-bit-docker-logs/capture/dockertest/wire"
)

func serveLogs(w http.ResponseWriter, r *http.Request, c *containers.Ctr, spoken *version.Spoken, now time.Time) {
	q := streams.LogQuery{
		Container: c.ID, Follow: boolValue(r, "follow"), Timestamps: boolValue(r, "timestamps"), Stdout: boolValue(r, "stdout"), Stderr: boolValue(r, "stderr"),
		Tail: r.FormValue("tail"), Since: r.FormValue("since"), Until: r.FormValue("until"), At: now,
	}
	view := c.View()
	spec, api, isPodman := view.Spec, spoken.API(), spoken.Podman != ""
	since, err := parseTime(q.Since)
	until, err2 := parseTime(q.Until)
	switch {
	case !q.Stdout && !q.Stderr:
		fail(w, http.StatusBadRequest, "Bad parameters: you must choose at least one stream")
		return
	case err != nil || err2 != nil:
		fail(w, http.StatusBadRequest, fmt.Sprintf("invalid since or until: %q, %q", q.Since, q.Until))
		return
	case !isPodman && spec.Driver == "none" || spec.Unreadable:
		fail(w, http.StatusNotImplemented, "configured logging driver does not support reading")
		return
	}
	if text := podman.Refusal(spec.Driver, c.Name(), q.Follow); text != "" && isPodman {
		streams.Refuse(c.Streams, q)
		fail(w, http.StatusInternalServerError, text)
		return
	}
	asked := store.Request{
		Encoder: wire.Encoder{Frames: !spec.TTY, Timestamps: q.Timestamps, DropEnd: spec.Driver == "local" && api < version.V142},
		Want:    [4]bool{wire.Stdout: q.Stdout, wire.Stderr: q.Stderr},
		Tail:    q.Tail, Since: math.MinInt64, Until: math.MaxInt64, Follow: q.Follow,
		API: api, Cut: listen.Cutter(r), NoEmpty: spec.Driver == "journald" && api < version.V142,
	}
	if isPodman {
		asked.Encoder.Layout = podman.Layout(spoken.Podman)
	}
	if !since.IsZero() {
		asked.Since = since.UnixNano()
		if isPodman {
			asked.Since++
		}
	}
	if !until.IsZero() && q.Until != "0" {
		asked.Until = until.UnixNano()
	}
	if view.State == "removed" { // since it was found: the Engine answers, and then there is no log to open
		w.WriteHeader(http.StatusOK)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.docker.raw-stream")
	if asked.Encoder.Frames && api >= version.V142 {
		h.Set("Content-Type", "application/vnd.docker.multiplexed-stream")
	}
	streams.Begin(c.Streams, q).Serve(r.Context(), w, c.Log(), asked, r.Method == http.MethodHead)
}
