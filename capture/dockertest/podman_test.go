package dockertest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"fluent-bit-docker-logs/capture/dockertest"
)

// Each read of 8 KiB ends a piece of a line, of which the API makes records of their own, but for a tail, which joins a piece without a
// newline to the line before.
func TestPodmanPieces(t *testing.T) {
	for _, tc := range []struct{ version, stamp string }{
		{"4.3.1", "2023-11-14T22:13:20Z"}, {"5.7.9", "2023-11-14T22:13:20Z"}, {"5.8.0", "2023-11-14T22:13:20.000000120Z"},
	} {
		e := dockertest.Start(t, dockertest.WithPodman(tc.version))
		cli := dial(t, e)
		c := e.Run(dockertest.Container{LogDir: t.TempDir()})
		head, rest := strings.Repeat("x", 8192), "yy"
		c.WriteAt(at(0, 120), dockertest.Stdout, []byte("a\n"+head[2:]+rest+"\n"))
		equal(t, "log", texts(readLog(t, cli, c.ID, container.LogsOptions{})), "a$|"+head[2:]+"|"+rest+"$")
		equal(t, "tail", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "2"})), "a"+head[2:]+"$|"+rest+"$")
		stamp, _, _ := strings.Cut(readLog(t, cli, c.ID, container.LogsOptions{Timestamps: true})[0].text, " ")
		equal(t, tc.version+" timestamp", stamp, tc.stamp)
		file := string(read(t, c.LogPath()))
		const when = "2023-11-14T22:13:20.000000120+00:00 stdout "
		equal(t, "file", file, when+"F a\n"+when+"P "+head[2:]+"\n"+when+"F "+rest+"\n")
	}
}

func TestPodmanSince(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	c := e.Run(dockertest.Container{})
	for i := range int64(3) {
		c.WriteAt(at(i, 0), dockertest.Stdout, []byte{'0' + byte(i), '\n'})
	}
	equal(t, "behind since, not at it", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{Since: stamp(at(1, 0))})), "2$")
}

func TestPodmanInspectAndRefusals(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	cli := dial(t, e)
	c := e.Create(dockertest.Container{Name: "web", MaxSize: 1000})
	i, err := cli.ContainerInspect(within(t), c.ID)
	must(t, err)
	if i.HostConfig.LogConfig.Type != "json-file" || len(i.HostConfig.LogConfig.Config) != 0 || !strings.HasSuffix(i.LogPath, c.ID+"/userdata/ctr.log") {
		t.Errorf("%+v, log path %s", i.HostConfig.LogConfig, i.LogPath)
	}
	for _, tc := range []struct {
		driver, want string
		follow       bool
	}{
		{"none", "using the 'none' log driver, cannot read logs", false},
		{"passthrough", "using the 'passthrough' log driver, cannot read logs", false},
		{"journald", "using --follow with the journald", true},
	} {
		c := e.Run(dockertest.Container{Name: tc.driver, Driver: tc.driver})
		_, err := cli.ContainerLogs(within(t), c.ID, container.LogsOptions{ShowStdout: true, Follow: tc.follow})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.driver, err)
		}
		equal(t, "queries", len(c.LogQueries()), 1)
	}
	e.ForgetQueries()
	equal(t, "queries left", len(e.LogQueries()), 0)
	v, err := cli.ServerVersion(within(t))
	must(t, err)
	equal(t, "first component", v.Components[0].Name, "Podman Engine")
}

// die is chosen as died and told as die, destroy is both as remove.
func TestPodmanEvents(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	msgs, errs := dial(t, e).Events(within(t), events.ListOptions{Filters: filters.NewArgs(filters.Arg("event", "died"), filters.Arg("event", "remove"), filters.Arg("event", "die"))})
	must(t, e.WaitSubscribers(within(t), 1))
	e.Run(dockertest.Container{}).Remove()
	e.EndEvents()
	var got []string
	for {
		select {
		case m := <-msgs:
			got = append(got, string(m.Action))
			continue
		case <-errs:
		}
		break
	}
	equal(t, "events", strings.Join(got, " "), "die remove")
}

// At max-size another file is moved over the log, which is gone.
func TestPodmanLogRotation(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithPodman("4.3.1"))
	c := e.Run(dockertest.Container{LogDir: t.TempDir(), MaxSize: 100})
	for i := range int64(3) {
		c.WriteAt(at(i, 0), dockertest.Stdout, []byte(strings.Repeat("x", 60)+"\n"))
	}
	equal(t, "inodes", len(c.LogInodes()), 3) // a record takes 106 bytes
	equal(t, "log", len(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), 1)
	if _, err := os.Stat(c.LogPath() + ".1"); err == nil {
		t.Error("there is a rotated file")
	}
}

func TestStampedAndRaw(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{LogDir: t.TempDir()})
	c.Stamped("yesterday", dockertest.Stdout, "a")
	c.WriteAt(time.Unix(0, 0), dockertest.Stderr, []byte("b\n"))
	c.Raw([]byte("\x01\x00\x00\x00\x00\x00\x00\x02r\n"))
	equal(t, "log", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{Timestamps: true})), "yesterday a$|1970-01-01T00:00:00.000000000Z b$|r$")
	equal(t, "file", string(read(t, c.LogPath())), `{"log":"a\n","stream":"stdout","time":"yesterday"}`+"\n"+`{"log":"b\n","stream":"stderr","time":"1970-01-01T00:00:00Z"}`+"\n")
}
