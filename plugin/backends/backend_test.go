package backends

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"fluent-bit-docker-logs/docker/enginetest"
	"fluent-bit-docker-logs/plugin/e2e"
)

// backend is where the lines of a load arrive.
type backend interface {
	// name is its name in the table.
	name() string
	// count returns how many lines of the load it has, some of them perhaps twice: a sign of progress, no verdict.
	count(ctx context.Context, l *load) (int, error)
	// lines returns what it has of a container. An error is also what a line has besides its text and time and should not.
	lines(ctx context.Context, l *load, c *enginetest.Container) ([]e2e.Line, error)
	// hidden returns how many lines it holds a second time without giving them in lines.
	hidden(ctx context.Context, l *load) (int, error)
}

// entry is one log entry as VictoriaLogs or Loki gives it.
type entry struct {
	labels   map[string]string // of its stream
	metadata map[string]string // structured metadata
	at       time.Time
	text     string
}

// logLines are the lines of a container whose entries are read one std stream at a time, each with the labels and the
// structured metadata that conf/ says.
func (l *load) logLines(c *enginetest.Container, read func(std string) ([]entry, error)) ([]e2e.Line, error) {
	var lines []e2e.Line
	for _, std := range []string{"stdout", "stderr"} {
		entries, err := read(std)
		if err != nil {
			return nil, err
		}
		labels := l.fields(c, std)
		labels["job"] = "docker"
		metadata := map[string]string{}
		for _, key := range []string{"container_id", "compose_project", "image"} {
			if v, ok := labels[key]; ok {
				metadata[key] = v
				delete(labels, key)
			}
		}
		for _, e := range entries {
			if !maps.Equal(e.labels, labels) || !maps.Equal(e.metadata, metadata) {
				return nil, fmt.Errorf("%q has\n  labels %v, metadata %v, want\n  labels %v, metadata %v", e.text, e.labels, e.metadata, labels, metadata)
			}
			lines = append(lines, e2e.Line{Container: c.Name, Std: std, Text: e.text, Time: e.at})
		}
	}
	return lines, nil
}

// ask returns what a backend answers to a request.
func ask(client *http.Client, name string, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", name, resp.Status, body)
	}
	return body, err
}
