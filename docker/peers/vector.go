package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// vector is Datadog's agent (MPL 2.0). No package client brings it within minutes, so it is the one on the PATH.
func vector() *Peer {
	return &Peer{
		Name: "vector", Title: "Vector", Source: fromAPI, live: true, About: "`docker_logs` into `blackhole`; metadata and labels",
		get: func(ctx context.Context, _ Say) (program, version string, err error) {
			path, err := exec.LookPath("vector")
			if err != nil {
				return "", "", fmt.Errorf("it is taken from the PATH: %w", err)
			}
			return path, firstLine(ctx, path, "--version"), nil
		},
		setUp: func(r *run) error {
			sink := "type = \"blackhole\"\nprint_interval_secs = 1\n"
			if r.tally != nil {
				r.out = filepath.Join(r.dir, "out")
				sink = fmt.Sprintf("type = \"file\"\npath = %q\nencoding.codec = \"json\"\n", r.out)
			}
			data := filepath.Join(r.dir, "data")
			if err := os.Mkdir(data, 0o755); err != nil {
				return err
			}
			conf, err := r.file("vector.toml", fmt.Sprintf("data_dir = %q\n[sources.docker]\ntype = \"docker_logs\"\ndocker_host = %q\n[sinks.out]\ninputs = [\"docker\"]\n%s", data, r.host.Host, sink))
			r.now = true
			r.args = []string{"--config", conf}
			r.env = []string{"VECTOR_LOG=info", "VECTOR_INTERNAL_LOG_RATE_LIMIT=0"}
			r.lastIn(r.log(), `events=([0-9]+)`)
			return err
		},
	}
}
