package dockertest_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"fluent-bit-docker-logs/capture/dockertest"
)

// A record that cannot be read, with 40 behind it and one that comes later: what a read shows, and what a follow does.
func TestDamage(t *testing.T) {
	var read, all []string
	for i := range 41 {
		all = append(all, fmt.Sprintf("%d$", i))
	}
	read = append([]string{"first$"}, all[28:]...) // the damaged one, and 27 more
	const grabbing = "Error grabbing logs: invalid character '\\x00' looking for beginning of value$"
	for _, tc := range []struct{ api, read, follow string }{
		{"1.41", strings.Join(read, "|"), strings.Join(read, "|") + "|late$"},
		{"1.45", "first$|" + grabbing, "first$|" + grabbing},
		{"1.51", "first$", "first$|late$"},
	} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(tc.api, ""))
		cli := dial(t, e)
		c := e.Run(dockertest.Container{})
		c.Stdout("first")
		c.Damage()
		for i := range 41 {
			c.Stdout(fmt.Sprint(i))
		}
		equal(t, tc.api+" read", texts(readLog(t, cli, c.ID, container.LogsOptions{})), tc.read)
		equal(t, tc.api+" tail", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "2"})), "39$|40$")
		body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
		if tc.api != "1.45" { // there the follow has ended
			must(t, c.WaitFollowers(within(t), 1))
			must(t, c.WaitSent(within(t)))
		}
		c.Stdout("late")
		c.Stop()
		equal(t, tc.api+" follow", texts(readFrames(t, body)), tc.follow)
	}
}

// A log that ends in the damage when it is followed: what is glued to that is sent, and shown to no other request.
func TestFollowBehindDamage(t *testing.T) {
	for _, api := range []string{"1.41", "1.45", "1.51"} {
		e := dockertest.Start(t, dockertest.WithAPIVersion(api, ""))
		cli := dial(t, e)
		c := e.Run(dockertest.Container{})
		c.Stdout("first")
		c.Damage()
		body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true, Tail: "9"})
		must(t, c.WaitFollowers(within(t), 1))
		c.Stdout("glued", "second")
		equal(t, api+" tail", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "1"})), "second$")
		c.Stop()
		equal(t, api+" follow", texts(readFrames(t, body)), "first$|glued$|second$")
		if api == "1.51" {
			equal(t, api+" read", texts(readLog(t, cli, c.ID, container.LogsOptions{})), "first$")
		}
	}
}

// Outrun: what is skipped is not sent; rotated away: what was open is sent still.
func TestSkipAndRotateAway(t *testing.T) {
	e := dockertest.Start(t)
	c, body := follow(t, e)
	c.SkipFollowers(1)
	c.Stdout("skipped", "second")
	expect(t, body, frame{1, "second\n"})
	must(t, c.WaitSent(within(t)))
	equal(t, "forgotten", c.Forgotten(), 0)
	c.RotateAway(2)
	equal(t, "forgotten", c.Forgotten(), 2)
	equal(t, "a later request", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), "second$")
	c.Stdout("third")
	expect(t, body, frame{1, "third\n"})
}

// A request that waits for its place: what is written in BeforeLog is before it.
func TestBeforeLog(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	e.BeforeLog(func(q dockertest.LogQuery) { c.Stdout("by the Engine " + q.Tail) })
	c.BeforeLog(func(dockertest.LogQuery) { c.Stdout("by the container") })
	equal(t, "log", texts(readLog(t, dial(t, e), c.ID, container.LogsOptions{Tail: "9"})), "by the container$|by the Engine 9$")
}

func TestInMemory(t *testing.T) {
	e := dockertest.Start(t, dockertest.InMemory())
	e.Run(dockertest.Container{Name: "web"}).Untag()
	d := func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx) }
	cli, err := client.NewClientWithOpts(client.WithHost("tcp://memory"), client.WithDialContext(d), client.WithAPIVersionNegotiation())
	must(t, err)
	defer func() { _ = cli.Close() }()
	list, err := cli.ContainerList(within(t), container.ListOptions{})
	must(t, err)
	if len(list) != 1 || list[0].Image != list[0].ImageID || !strings.HasPrefix(e.Containers()[0].String(), "web (") {
		t.Errorf("%+v", list)
	}
	must(t, e.WaitConns(within(t), 1))
	e.Down()
	if _, err := e.Dial(within(t)); err == nil {
		t.Error("an Engine that is down is reached")
	}
}
