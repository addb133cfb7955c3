package peers

import (
	"context"
	"path/filepath"

	"fluent-bit-docker-logs/docker/enginetest"
)

// logspoutVersion is the last commit of its master.
const logspoutVersion = "818dd8260e52"

// logspout is Glider Labs' router of logs (MIT), which sends them to a TCP port.
func logspout() *Peer {
	return &Peer{
		Name: "logspout", Title: "logspout", Source: fromAPI, About: "raw adapter into a TCP port, `BACKLOG=true` where there is one; id, name, image and a label, no time",
		get: func(ctx context.Context, say Say) (program, version string, err error) {
			program, err = built(ctx, say, "logspout", logspoutVersion, func(ctx context.Context, g *goModule) error {
				return g.tool(ctx, "github.com/gliderlabs/logspout", logspoutVersion, "")
			})
			return program, logspoutVersion, err
		},
		setUp: func(r *run) error {
			sink, err := r.listen()
			if err != nil {
				return err
			}
			addr, err := enginetest.FreeAddr()
			r.args = []string{"raw+tcp://" + sink}
			r.env = []string{"DOCKER_HOST=" + r.host.Host, "HTTP_BIND_ADDRESS=127.0.0.1", "HTTP_PORT=" + addr[len("127.0.0.1:"):], "ROUTESPATH=" + filepath.Join(r.dir, "routes"),
				`RAW_FORMAT={{.Data}} {{.Source}} {{.Container.ID}} {{.Container.Name}} {{.Container.Config.Image}} {{index .Container.Config.Labels "team"}}` + "\n"}
			if r.now = r.work.backlog == 0; !r.now {
				r.env = append(r.env, "BACKLOG=true")
			}
			return err
		},
	}
}
