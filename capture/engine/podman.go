package engine

import (
	"context"
	"net/http"
	"strings"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/events"
)

// Podman's socket speaks Docker's API, and is not Docker in this:
//
//   - It says "json-file" of a log of its driver k8s-file, in which each line is
//     "time stream P|F text" (decode/crilog.go).
//   - Until 5.8 the API's timestamps are whole seconds.
//   - What ends in a newline is the end of a line, what does not goes on, whatever
//     its size: a line is stored in the pieces in which it was read from the pipe.
//   - A tail joins the pieces of a long line to the line before. So a log is
//     opened by time.
//   - A log that cannot be read is a 500, and so is a container that is being removed.
//   - The events die and destroy have other names.
//   - The log of journald can be followed only where its events are there, too.

// What Podman calls the events die and destroy: the first one where they are
// chosen, the second one also where they are told.
const (
	podmanDie     = "died"
	podmanDestroy = "remove"
)

// nameOf is Docker's name of an event.
func nameOf(a events.Action) string {
	switch a {
	case podmanDie:
		a = events.ActionDie
	case podmanDestroy:
		a = events.ActionDestroy
	}
	return string(a)
}

// IsPodman says whether it was Podman that answered last.
func (a *Client) IsPodman() bool { return a.podman.Load() }

func isPodman(v *types.Version) bool {
	for i := range v.Components {
		if strings.HasPrefix(v.Components[i].Name, "Podman") {
			return true
		}
	}
	return false
}

// podmanVersion is that of Podman by what every answer of its says, where /version is
// refused; "" if it is Docker, or refuses this, too.
func (a *Client) podmanVersion(ctx context.Context, cli *http.Client) string {
	res, err := a.ask(ctx, cli, "/_ping")
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	return res.Header.Get("Libpod-Api-Version")
}

// isUnreadableByPodman says whether an error is that of the drivers none and
// passthrough (podman: libpod/define/errors.go, ErrNoLogs).
func isUnreadableByPodman(err error) bool {
	return err != nil && strings.Contains(err.Error(), "this container is not logging output")
}

// isGoneByPodman says whether an error is of a container that is removed in this
// moment (podman: libpod/define/errors.go, ErrNoSuchCtr, ErrCtrRemoved).
func isGoneByPodman(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no such container") || strings.Contains(err.Error(), "container has already been removed"))
}

// IsNoFollow says whether err means that a log cannot be followed. Podman can
// give such a log, and not follow it.
func IsNoFollow(err error) bool {
	return err != nil && strings.Contains(err.Error(), "using --follow with the journald --log-driver")
}
