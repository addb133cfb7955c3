package dockertest_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestClientNegotiates(t *testing.T) {
	for _, tc := range []struct{ api, low, used, refused string }{
		{"1.41", "", "1.41", ""},
		{"1.51", "", "1.51", ""},
		{"1.56", "1.40", "1.51", ""},
		{"1.56", "1.52", "1.51", "client version 1.51 is too old. Minimum supported API version is 1.52"},
	} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(tc.api, tc.low))
		cli := dial(t, e)
		_, err := cli.ContainerList(within(t), container.ListOptions{})
		equal(t, tc.api+" negotiated", cli.ClientVersion(), tc.used)
		if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
			t.Errorf("%s: %v", tc.api, err)
		}
	}
}

func TestClientListsAndInspects(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	web := e.Run(dockertest.Container{Name: "web", Image: "nginx:1", Labels: map[string]string{"a": "b"}})
	old := e.Run(dockertest.Container{Name: "old", TTY: true, Driver: "local"})
	e.Create(dockertest.Container{Name: "new"})
	old.Die(3)

	names := func(opts container.ListOptions) (s []string) {
		list, err := cli.ContainerList(within(t), opts)
		must(t, err)
		for _, c := range list {
			s = append(s, c.Names[0]+" "+c.State)
		}
		return s
	}
	equal(t, "running", strings.Join(names(container.ListOptions{}), ","), "/web running")
	equal(t, "all", strings.Join(names(container.ListOptions{All: true}), ","), "/new created,/old exited,/web running")
	equal(t, "by label", strings.Join(names(container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "a=b"))}), ","), "/web running")
	equal(t, "by status", strings.Join(names(container.ListOptions{Filters: filters.NewArgs(filters.Arg("status", "exited"))}), ","), "/old exited")

	for _, ref := range []string{web.ID, "web", "/web", web.ID[:12]} {
		i, err := cli.ContainerInspect(within(t), ref)
		must(t, err)
		if i.ID != web.ID || i.Name != "/web" || !i.State.Running || i.Config.Labels["a"] != "b" || i.Config.Image != "nginx:1" || !strings.HasSuffix(i.LogPath, web.ID+"-json.log") {
			t.Errorf("inspect %s: %+v", ref, i)
		}
	}
	i, err := cli.ContainerInspect(within(t), "old")
	must(t, err)
	if !i.Config.Tty || i.State.Status != "exited" || i.State.ExitCode != 3 || i.LogPath != "" || i.HostConfig.LogConfig.Type != "local" || i.State.FinishedAt < i.State.StartedAt {
		t.Errorf("inspect old: %+v %+v", i, i.State)
	}
	_, err = cli.ContainerInspect(within(t), "nobody")
	if err == nil || !strings.Contains(err.Error(), "No such container: nobody") {
		t.Error(err)
	}
	if v, err := cli.ServerVersion(within(t)); err != nil || v.Version != "28.5.2" {
		t.Error(v, err)
	}
	if v, err := cli.Info(within(t)); err != nil || v.Containers != 3 || v.ContainersRunning != 1 {
		t.Error(v, err)
	}
	if err := cli.ContainerStart(within(t), web.ID, container.StartOptions{}); err == nil || !strings.Contains(err.Error(), "can only be read") {
		t.Error("POST:", err)
	}
}

func TestClientFollows(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	c := e.Run(dockertest.Container{})
	c.Stdout("early")
	body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
	must(t, c.WaitFollowers(within(t), 1))
	must(t, e.WaitFollowers(within(t), 1))
	c.Stderr("oops")
	for _, want := range []frame{{1, "early\n"}, {2, "oops\n"}} {
		got, err := readFrame(body)
		must(t, err)
		equal(t, "frame", got, want)
	}
	must(t, c.WaitSent(within(t)))
	c.Write(dockertest.Stdout, []byte("no end"))
	c.Stop()
	equal(t, "rest", texts(readFrames(t, body)), "no end")
	must(t, e.WaitFollowers(within(t), 0))

	equal(t, "follow of a stopped container", texts(readLog(t, cli, c.ID, container.LogsOptions{Follow: true})), "early$|oops$|no end")
	if c.Stdout("nobody hears") {
		t.Error("a stopped container writes")
	}
	c.Start()
	c.Stdout("fresh")
	equal(t, "after the restart", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "2"})), "no end|fresh$")
	if q := c.LogQueries(); len(q) != 3 || !q[0].Follow || q[2].Follow || q[2].Tail != "2" {
		t.Errorf("queries: %+v", q)
	}
}

func TestClientTTY(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{TTY: true})
	c.Stdout("one")
	c.Stderr("two")
	body := openLog(t, dial(t, e), c.ID, container.LogsOptions{})
	b, err := io.ReadAll(body)
	must(t, err)
	equal(t, "TTY", string(b), "one\r\ntwo\r\n")
}

func TestClientEvents(t *testing.T) {
	for _, api := range []string{"1.41", "1.52"} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(api, "1.24"))
		cli := dial(t, e)
		past := e.Run(dockertest.Container{Name: "past"})
		msgs, errs := cli.Events(within(t), events.ListOptions{Since: "1", Filters: filters.NewArgs(filters.Arg("type", "container"))})
		must(t, e.WaitSubscribers(within(t), 1))
		c := e.Run(dockertest.Container{Name: "new", Image: "img", Labels: map[string]string{"k": "v"}, AutoRemove: true})
		c.Pause()
		c.Unpause()
		c.Rename("renamed")
		c.Stop()
		e.Emit(dockertest.Event{Type: "network", Action: "connect"})
		past.Restart()
		past.Remove()
		e.EndEvents()
		var got []string
		for {
			select {
			case m := <-msgs:
				got = append(got, m.Actor.Attributes["name"]+":"+string(m.Action))
				if m.Action == "rename" && m.Actor.Attributes["oldName"] != "/new" || m.Action == "die" && m.Actor.Attributes["exitCode"] == "" {
					t.Errorf("%+v", m)
				}
				if m.Actor.ID == c.ID && (m.Actor.Attributes["k"] != "v" || m.Actor.Attributes["image"] != "img" || m.TimeNano/1e9 != m.Time) {
					t.Errorf("%+v", m)
				}
				if (m.ID == "") != (api == "1.52") { //nolint:staticcheck // the deprecated field is what is tested
					t.Errorf("%s: deprecated id %q", api, m.ID) //nolint:staticcheck // as above
				}
				continue
			case err := <-errs:
				equal(t, "end", err, io.EOF)
			}
			break
		}
		equal(t, "events", strings.Join(got, " "), "past:create past:start new:create new:start new:pause new:unpause renamed:rename "+
			"renamed:kill renamed:die renamed:stop renamed:destroy past:kill past:die past:stop past:start past:restart past:kill past:die past:destroy")
		must(t, e.WaitSubscribers(within(t), 0))
	}
}

func TestEOFPrecedesDie(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	c := e.Run(dockertest.Container{})
	body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
	msgs, _ := cli.Events(within(t), events.ListOptions{})
	must(t, e.WaitSubscribers(within(t), 1))
	must(t, c.WaitFollowers(within(t), 1))
	c.Stdout("last")
	c.Die(0)
	<-msgs
	equal(t, "followers at die", c.Followers(), 0)
	equal(t, "log", texts(readFrames(t, body)), "last$")
}

func TestEventReplayIsBounded(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	for range 300 {
		e.Emit(dockertest.Event{Action: "exec_create: sh"})
	}
	c := e.Run(dockertest.Container{})
	msgs, _ := cli.Events(within(t), events.ListOptions{Since: "1"})
	var actions []string
	for m := range msgs {
		if actions = append(actions, string(m.Action)); m.Action == "start" {
			break
		}
	}
	equal(t, "replayed", len(actions), 256)
	e.Down()
	must(t, e.Up())
	msgs, _ = cli.Events(within(t), events.ListOptions{Since: "1"})
	must(t, e.WaitSubscribers(within(t), 1))
	c.Start()
	equal(t, "first after the restart", (<-msgs).Action, events.ActionStart)
}

func TestTCP(t *testing.T) {
	e := dockertest.Start(t, dockertest.WithTCP())
	host := e.TCPHost()
	c := e.Run(dockertest.Container{})
	e.Down()
	must(t, e.Up())
	equal(t, "address after Up", e.TCPHost(), host)
	cli := dial(t, e, client.WithHost(host))
	_, err := cli.ContainerInspect(within(t), c.ID)
	must(t, err)
	if !slices.Contains(e.Containers(), c) {
		t.Error("container is gone")
	}
}
