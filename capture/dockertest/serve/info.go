package serve

import (
	"net/http"

	"fluent-bit-docker-logs/capture/dockertest/containers"
	"fluent-bit-docker-logs/capture/dockertest/podman"
	"fluent-bit-docker-logs/capture/dockertest/version"
)

func serveVersion(w http.ResponseWriter, spoken *version.Spoken) {
	api, low := spoken.Versions()
	if spoken.Podman != "" {
		reply(w, http.StatusOK, map[string]any{"Version": spoken.Podman, "ApiVersion": api.String(), "MinAPIVersion": low.String(), "Components": podman.Components(spoken.Podman)})
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"Platform": map[string]string{"Name": "dockertest"}, "Version": api.Release(), "ApiVersion": api.String(), "MinAPIVersion": low.String(),
		"GitCommit": "fake", "GoVersion": "go1.26", "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1.0", "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
	})
}

func serveInfo(w http.ResponseWriter, set *containers.Set, api version.API) {
	all := set.Containers()
	total, running, paused := len(all), 0, 0
	for _, c := range all {
		switch c.State() {
		case "running":
			running++
		case "paused":
			paused++
		}
	}
	reply(w, http.StatusOK, map[string]any{
		"ID": "DOCK:ERTE:STFA:KEEN:GINE", "Name": "dockertest", "ServerVersion": api.Release(), "Driver": "overlay2", "LoggingDriver": "json-file",
		"Containers": total, "ContainersRunning": running, "ContainersPaused": paused, "ContainersStopped": total - running - paused,
		"DockerRootDir": "/var/lib/docker", "OSType": "linux", "Architecture": "x86_64", "OperatingSystem": "dockertest", "LiveRestoreEnabled": set.LiveRestore(),
	})
}
