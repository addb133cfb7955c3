package serve

import (
	"net/http"
	"time"

	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/podman"
)

// serveInspect answers as Podman where it isPodman.
func serveInspect(w http.ResponseWriter, v containers.View, isPodman bool) {
	logPath := ""
	if !v.Started.IsZero() {
		logPath = v.Spec.LogPath()
	}
	driver, opts := v.Spec.Driver, v.Spec.DriverOpts()
	if isPodman {
		opts = nil
		if driver == podman.Driver {
			driver, logPath = "json-file", v.Spec.LogPath() // also before the first start
		}
	}
	id := v.Spec.ID
	reply(w, http.StatusOK, map[string]any{
		"Id": id, "Name": "/" + v.Name, "Created": stamp(v.Created), "Path": "/app", "Args": []string{}, "Image": v.Spec.ImageID(), "LogPath": logPath, "RestartCount": 0,
		"Driver": "overlay2", "Platform": "linux",
		"State": map[string]any{
			"Status": v.State, "Running": v.Runs(), "Paused": v.State == "paused", "Restarting": false, "OOMKilled": false, "Dead": false,
			"Pid": v.Pid, "ExitCode": v.ExitCode, "Error": "", "StartedAt": stamp(v.Started), "FinishedAt": stamp(v.Ended),
		},
		"HostConfig": map[string]any{
			"LogConfig": map[string]any{"Type": driver, "Config": opts}, "NetworkMode": "bridge", "AutoRemove": v.Spec.AutoRemove,
		},
		"Config": map[string]any{
			"Hostname": id[:min(12, len(id))], "Tty": v.Spec.TTY, "Image": v.Spec.Image, "Labels": labels(&v), "Env": append([]string{}, v.Spec.Env...), "Cmd": []string{"/app"},
		},
		"NetworkSettings": map[string]any{"Networks": map[string]any{}},
	})
}

// stamp formats as the API does; the zero time is year 1.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
