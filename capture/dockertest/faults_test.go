package dockertest_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"

	"fluent-bit-docker-logs/capture/dockertest"
)

// follow opens a follow that has got the line "first".
func follow(t *testing.T, e *dockertest.Engine) (*dockertest.Ctr, io.ReadCloser) {
	t.Helper()
	c := e.Run(dockertest.Container{})
	c.Stdout("first")
	body := openLog(t, dial(t, e), c.ID, container.LogsOptions{Follow: true})
	expect(t, body, frame{1, "first\n"})
	return c, body
}

func expect(t *testing.T, r io.Reader, want frame) {
	t.Helper()
	got, err := readFrame(r)
	must(t, err)
	equal(t, "frame", got, want)
}

func expectCut(t *testing.T, r io.Reader) {
	t.Helper()
	if _, err := readFrame(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected EOF", err)
	}
}

func TestDownAndUp(t *testing.T) {
	for _, live := range []bool{false, true} {
		e := dockertest.Start(t)
		e.SetLiveRestore(live)
		c, body := follow(t, e)
		e.Down()
		expectCut(t, body)
		equal(t, "connections", e.OpenConns(), 0)
		if _, err := net.Dial("unix", e.Socket()); !errors.Is(err, syscall.ENOENT) {
			t.Error("down:", err)
		}
		want := "exited"
		if live {
			want = "running"
		}
		equal(t, "state", c.State(), want)
		equal(t, "writes", c.Stdout("meanwhile"), live)
		must(t, e.Up())
		cli := dial(t, e)
		got := texts(readLog(t, cli, c.ID, container.LogsOptions{}))
		if live {
			equal(t, "log", got, "first$|meanwhile$")
			continue
		}
		equal(t, "log", got, "first$")
		c.Start()
		equal(t, "state", c.State(), "running")
	}
}

func TestCrashRefusesConnections(t *testing.T) {
	e := dockertest.Start(t)
	_, body := follow(t, e)
	e.Crash()
	expectCut(t, body)
	if _, err := net.Dial("unix", e.Socket()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	must(t, e.Up())
	_, err := dial(t, e).Ping(within(t))
	must(t, err)
}

func TestServeSparesForeignFiles(t *testing.T) {
	first := dockertest.Start(t)
	second := dockertest.New(dockertest.WithSocket(first.Socket()))
	if err := second.Serve(); err == nil {
		second.Close()
		t.Fatal("took over a socket that is served")
	}
	_, err := dial(t, first).Ping(within(t))
	must(t, err)
}

func TestPermission(t *testing.T) {
	e := dockertest.Start(t)
	must(t, e.SetSocketMode(0))
	restore := dockertest.AsNobody(t)
	_, err := net.Dial("unix", e.Socket())
	restore()
	if !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	must(t, e.SetSocketMode(0o600))
	_, err = dial(t, e).Ping(within(t))
	must(t, err)
}

func TestHang(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	cli.NegotiateAPIVersion(within(t))
	release := e.Hang()
	before := e.Requests(dockertest.Any)
	done := make(chan error)
	go func() {
		_, err := cli.ContainerList(within(t), container.ListOptions{})
		done <- err
	}()
	must(t, e.WaitRequests(within(t), dockertest.Any, before+1))
	select {
	case err := <-done:
		t.Fatal("answered:", err)
	default:
	}
	release()
	must(t, <-done)
}

func TestOverride(t *testing.T) {
	e := dockertest.Start(t)
	a, b := e.Run(dockertest.Container{}), e.Run(dockertest.Container{})
	cli := dial(t, e)
	inspect := func(c *dockertest.Ctr) string {
		if _, err := cli.ContainerInspect(within(t), c.ID); err != nil {
			return err.Error()
		}
		return ""
	}
	for _, tc := range []struct {
		ans  dockertest.Answer
		want string
	}{
		{dockertest.Answer{Status: http.StatusNotFound, Message: "gone"}, "gone"},
		{dockertest.Answer{Status: http.StatusConflict, Message: "dead"}, "dead"},
		{dockertest.Answer{Status: http.StatusInternalServerError, Message: "broken"}, "broken"},
		{dockertest.Answer{Status: http.StatusNotImplemented, Message: "not built"}, "not built"},
		{dockertest.Answer{Body: []byte("\x00{garbage")}, "invalid character"},
		{dockertest.Answer{Cut: true}, "EOF"},
	} {
		undo := e.Override(dockertest.Inspect, a, tc.ans)
		if got := inspect(a); !strings.Contains(got, tc.want) {
			t.Errorf("%+v: %s", tc.ans, got)
		}
		equal(t, "the other", inspect(b), "")
		undo()
		undo()
		equal(t, "undone", inspect(a), "")
	}
	e.Override(dockertest.Any, nil, dockertest.Answer{Status: 500, Message: "x", Times: 2})
	if inspect(a) == "" || inspect(b) == "" || inspect(a) != "" {
		t.Error("two were to fail")
	}
}

func TestUnreadable(t *testing.T) {
	e := dockertest.Start(t)
	for _, spec := range []dockertest.Container{{Driver: "none"}, {Driver: "syslog", Unreadable: true}} {
		_, err := dial(t, e).ContainerLogs(within(t), e.Run(spec).ID, container.LogsOptions{ShowStdout: true})
		if err == nil || !strings.Contains(err.Error(), "does not support reading") {
			t.Error(err)
		}
	}
}

func TestCutAndEndFollowers(t *testing.T) {
	e := dockertest.Start(t)
	c, body := follow(t, e)
	_, other := follow(t, e)
	c.CutFollowers()
	expectCut(t, body)
	must(t, c.WaitFollowers(within(t), 0))
	equal(t, "others", e.Followers(), 1)
	e.EndFollowers()
	if _, err := readFrame(other); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	equal(t, "state", c.State(), "running")
}

func TestCutAfterBytes(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	c.Stdout("12345678", "12345678") // two frames of 17 bytes
	cli := dial(t, e)
	e.CutAfter(17+3, 1)
	c.CutAfter(0, 1)
	expectCut(t, struct{ io.Reader }{openLog(t, cli, c.ID, container.LogsOptions{})})
	body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
	b, err := io.ReadAll(body)
	equal(t, "bytes", len(b), 20)
	equal(t, "error", err, io.ErrUnexpectedEOF)
	equal(t, "third request", len(readLog(t, cli, c.ID, container.LogsOptions{})), 2)
}

func TestSilence(t *testing.T) {
	e := dockertest.Start(t)
	c, body := follow(t, e)
	c.Silence(1)
	c.Stdout("second")
	cli := dial(t, e)
	silent := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
	equal(t, "a later request", texts(readLog(t, cli, c.ID, container.LogsOptions{})), "first$|second$")
	c.Stop() // does not wait for the silent ones
	equal(t, "still open", c.Followers(), 2)
	c.CutFollowers()
	expectCut(t, body)
	expectCut(t, silent)
}

func TestInjections(t *testing.T) {
	e := dockertest.Start(t)
	c, body := follow(t, e)
	c.SystemErr("disk on fire")
	c.Stdout("second")
	c.ReplayFollowers(2)
	c.Inject([]byte("garbage"))
	c.Stdout("third")
	e.Inject(dockertest.HugeHeader())
	must(t, c.WaitSent(within(t)))
	c.Stop()
	for _, want := range []frame{{3, "Error grabbing logs: disk on fire\n"}, {1, "second\n"}, {1, "first\n"}, {1, "second\n"}} {
		expect(t, body, want)
	}
	rest, err := io.ReadAll(body)
	must(t, err)
	equal(t, "rest", string(rest), "garbage\x01\x00\x00\x00\x00\x00\x00\x06third\n\x01\x00\x00\x00\xff\xff\xff\xff")

	tty := e.Run(dockertest.Container{TTY: true})
	raw := openLog(t, dial(t, e), tty.ID, container.LogsOptions{Follow: true})
	must(t, tty.WaitFollowers(within(t), 1))
	tty.SystemErr("inline")
	tty.EndFollowers()
	b, err := io.ReadAll(raw)
	must(t, err)
	equal(t, "TTY", string(b), "Error grabbing logs: inline\n")
}

func TestThrottle(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	c.Stdout(strings.Repeat("x", 999))
	e.Throttle(1)
	c.Throttle(10_000)
	start := time.Now()
	equal(t, "frames", len(readLog(t, dial(t, e), c.ID, container.LogsOptions{})), 1)
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("1 KB at 10 KB/s took %v", took)
	}
}

func TestEventFaults(t *testing.T) {
	e := dockertest.Start(t)
	cli := dial(t, e)
	msgs, errs := cli.Events(within(t), events.ListOptions{})
	must(t, e.WaitSubscribers(within(t), 1))
	e.DropEvents(1)
	c := e.Create(dockertest.Container{})
	const delay = 50 * time.Millisecond
	e.DelayEvents(delay)
	start := time.Now()
	c.Start()
	equal(t, "first that is not lost", (<-msgs).Action, events.ActionStart)
	if took := time.Since(start); took < delay {
		t.Errorf("delayed by %v only", took)
	}
	equal(t, "dropped", e.DroppedEvents(), 1)
	e.CutEvents()
	equal(t, "cut", <-errs, io.ErrUnexpectedEOF)
	must(t, e.WaitSubscribers(within(t), 0))

	e.DelayEvents(0)
	release := e.HoldSubscriptions()
	msgs, _ = cli.Events(within(t), events.ListOptions{})
	must(t, e.WaitRequests(within(t), dockertest.Events, 2))
	c.Pause() // in the gap
	release()
	must(t, e.WaitSubscribers(within(t), 1))
	c.Unpause()
	equal(t, "first behind the gap", (<-msgs).Action, events.ActionUnPause)
}

func TestLyingList(t *testing.T) {
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	c.Hide(1)
	cli := dial(t, e)
	for want := range 2 {
		list, err := cli.ContainerList(within(t), container.ListOptions{})
		must(t, err)
		equal(t, "containers", len(list), want)
	}
}
