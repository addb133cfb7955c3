package dockertest_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"fluent-bit-docker-logs/capture/dockertest"
)

// A request that takes time shows the Engine as it is when it arrives, not as it was
// when it was sent nor as it is when it is answered.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := dockertest.New(dockertest.InMemory())
		must(t, e.Serve())
		defer e.Close()
		d := func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx) }
		cli, err := client.NewClientWithOpts(client.WithHost("tcp://memory"), client.WithDialContext(d), client.WithAPIVersionNegotiation())
		must(t, err)
		defer func() { _ = cli.Close() }()
		c := e.Run(dockertest.Container{Name: "web"})
		_, err = cli.ContainerList(t.Context(), container.ListOptions{}) // the version is known
		must(t, err)
		e.Delay(func(dockertest.Endpoint) (arrives, answers time.Duration) { return time.Second, 2 * time.Second })
		go func() {
			for range 4 {
				c.Stdout("line")
				time.Sleep(700 * time.Millisecond)
			}
			c.Rename("other")
		}()
		began := time.Now()
		got := texts(readLog(t, cli, c.ID, container.LogsOptions{}))
		equal(t, "log", got, "line$|line$")
		equal(t, "after", time.Since(began), time.Second)
		list, err := cli.ContainerList(t.Context(), container.ListOptions{})
		must(t, err)
		equal(t, "names", list[0].Names[0], "/web")
		equal(t, "after", time.Since(began), 4*time.Second)
		e.Delay(nil)
		equal(t, "name", e.Containers()[0].Name(), "other")
	})
}

// What is rotated away while it is read is read to its end, but for what was written
// since the log was opened.
func TestRotatedWhileItIsRead(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{Rotates: true, MaxSize: 100, MaxFile: 2})
	c.Stdout("a", "b")
	e.FirstByte(50 * time.Millisecond)
	body := openLog(t, dial(t, e), c.ID, container.LogsOptions{Follow: true})
	for range 3 {
		must(t, c.RotateLog())
	}
	c.Stdout("c")
	c.Stop()
	got := strings.ReplaceAll(texts(readFrames(t, body)), "$", "")
	equal(t, "log", got, "a|b|c")
	_, err := body.Read(make([]byte, 1))
	equal(t, "end", err, io.EOF)
}
