package peers

import (
	"context"
	"fmt"
	"path/filepath"
)

const telegrafVersion = "1.37.2"

// telegraf is InfluxData's agent (MIT) with its input for Docker's logs, and what else it needs here.
func telegraf() *Peer {
	return &Peer{
		Name: "telegraf", Title: "Telegraf", Source: fromAPI, Position: "`statefile`", About: "`inputs.docker_log`, `statefile`, `metric_buffer_limit` 500,000; metadata and labels",
		get: func(ctx context.Context, say Say) (program, version string, err error) {
			program, err = built(ctx, say, "telegraf", telegrafVersion, func(ctx context.Context, g *goModule) error {
				return g.tool(ctx, "github.com/influxdata/telegraf/cmd/telegraf", "v"+telegrafVersion,
					"custom,inputs.docker_log,inputs.internal,outputs.discard,outputs.file,serializers.influx")
			})
			return program, telegrafVersion, err
		},
		setUp: func(r *run) error {
			counted := filepath.Join(r.dir, "internal")
			output := fmt.Sprintf(`[[outputs.discard]]
  namepass = ["docker_log"]
[[inputs.internal]]
  interval = "1s"
  collect_memstats = false
[[outputs.file]]
  files = [%q]
  namepass = ["internal_write"]
  data_format = "influx"
`, counted)
			if r.tally != nil {
				r.out = filepath.Join(r.dir, "out")
				output = fmt.Sprintf("[[outputs.file]]\n  files = [%q]\n  data_format = \"influx\"\n", r.out)
			}
			interval := "1s" // at which it looks for containers
			if r.work.idle > 0 {
				interval = "10s" // its default
			}
			conf, err := r.file("telegraf.conf", fmt.Sprintf(`[agent]
  interval = %q
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 500000
  omit_hostname = true
  statefile = %q
[[inputs.docker_log]]
  endpoint = %q
  from_beginning = true
%s`, interval, filepath.Join(r.dir, "state"), r.host.Host, output))
			r.args = []string{"--config", conf}
			r.lastIn(counted, `output=discard[^\n]*metrics_written=([0-9]+)i`)
			return err
		},
	}
}
