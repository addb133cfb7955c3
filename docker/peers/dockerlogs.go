package peers

import (
	"context"

	"fluent-bit-docker-logs/docker/debian"
)

// dockerLogs is the Engine's own client: what the API costs, at least.
func dockerLogs() *Peer {
	return &Peer{
		Name: "docker-logs", Title: "`docker logs -f`", Source: fromAPI, single: true, About: "`--timestamps`, into a pipe; no metadata: the yardstick",
		get: func(ctx context.Context, _ Say) (program, version string, err error) {
			path, err := debian.Program(ctx, "docker", "docker.io")
			if err != nil {
				return "", "", err
			}
			return path, firstLine(ctx, path, "--version"), nil
		},
		setUp: func(r *run) error {
			r.pipe = true
			r.args = []string{"--host", r.host.Host, "logs", "--follow", "--timestamps", r.host.ids[0]}
			return nil
		},
	}
}
