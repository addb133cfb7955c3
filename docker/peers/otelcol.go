package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"fluent-bit-docker-logs/docker/enginetest"
)

// The collector's core, and the parts that read files.
const (
	otelcolVersion = "0.165.0"
	contribVersion = "0.165.1"
)

// otelcol is the OpenTelemetry Collector (Apache License 2.0) with its file receiver, put together by its own builder.
func otelcol() *Peer {
	return &Peer{
		Name: "otelcol", Title: "OpenTelemetry Collector", Source: fromFiles, Position: "`file_storage`", About: "`file_log` with the operator `container`, `file_storage`; the file's path as metadata",
		get: func(ctx context.Context, say Say) (program, version string, err error) {
			program, err = built(ctx, say, "otelcol", otelcolVersion, func(ctx context.Context, g *goModule) error {
				manifest := filepath.Join(g.dir, "builder.yaml")
				text := fmt.Sprintf(`dist: {module: otelcol, name: otelcol, output_path: %s, version: %s}
receivers: [{gomod: github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver v%s}]
extensions: [{gomod: github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage v%s}]
exporters: [{gomod: go.opentelemetry.io/collector/exporter/nopexporter v%s}, {gomod: go.opentelemetry.io/collector/exporter/debugexporter v%s}]
`, g.dir, otelcolVersion, contribVersion, contribVersion, otelcolVersion, otelcolVersion)
				if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
					return err
				}
				return g.run(ctx, "run", "go.opentelemetry.io/collector/cmd/builder@v"+otelcolVersion, "--config", manifest)
			})
			return program, otelcolVersion + ", receiver " + contribVersion, err
		},
		setUp: func(r *run) error {
			addr, err := enginetest.FreeAddr()
			if err != nil {
				return err
			}
			state := filepath.Join(r.dir, "state")
			if err := os.Mkdir(state, 0o755); err != nil {
				return err
			}
			exporter, how := "nop", "{}"
			if r.tally != nil {
				r.out = filepath.Join(r.dir, "out")
				exporter, how = "debug", fmt.Sprintf("{verbosity: detailed, use_internal_logger: false, output_paths: [%q]}", r.out)
			}
			conf, err := r.file("config.yaml", fmt.Sprintf(`receivers:
  file_log:
    include: [%q]
    start_at: beginning
    include_file_path: true
    storage: file_storage
    operators: [{type: container, format: docker, add_metadata_from_filepath: false}]
extensions:
  file_storage: {directory: %q}
exporters:
  %s: %s
service:
  extensions: [file_storage]
  pipelines:
    logs: {receivers: [file_log], exporters: [%s]}
  telemetry:
    metrics: {level: normal, readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %s}}}}]}
`, r.host.logs(), state, exporter, how, exporter, addr[len("127.0.0.1:"):]))
			r.args = []string{"--config", conf}
			// The name's end depends on the version.
			r.scrape("http://"+addr+"/metrics", "otelcol_receiver_accepted_log_records", "otelcol_receiver_accepted_log_records_total", "otelcol_receiver_accepted_log_records__records__total")
			return err
		},
	}
}
