package capture_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fluent-bit-docker-logs/capture"
	"fluent-bit-docker-logs/capture/dockertest"
)

// slowConn takes its time for each request, unless it is given up.
type slowConn struct {
	net.Conn
	by     time.Duration
	once   sync.Once
	closed chan struct{}
}

func (c *slowConn) Write(b []byte) (int, error) {
	select {
	case <-time.After(c.by):
	case <-c.closed:
	}
	return c.Conn.Write(b)
}

func (c *slowConn) SetDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) <= 0 {
		c.once.Do(func() { close(c.closed) })
	}
	return c.Conn.SetDeadline(t)
}

func (c *slowConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// Whatever the options allow of times, and however slowly an Engine answers that
// still counts as one that does: no task is taken for stalled, and nothing is lost.
func TestNoFalseStalls(t *testing.T) {
	type times map[string]string
	for i, opts := range []times{
		{"Task_Timeout": "1m", "Heartbeat_Interval": "30s", "Poll_Max": "1h", "DB_Sync": "1m"},
		{"Task_Timeout": "1m", "Heartbeat_Interval": "5s", "Poll_Max": "1h", "DB_Sync": "1m", "Resync_Interval": "1h"},
		{"Task_Timeout": "1m", "Heartbeat_Interval": "30s", "Poll_Min": "5s", "Poll_Max": "5s", "DB_Sync": "100ms", "Resync_Interval": "5s"},
		{"Task_Timeout": "20m", "Heartbeat_Interval": "10m", "Poll_Max": "1h", "Rotate_Interval": "1h"},
	} {
		for _, reader := range []string{readerAuto, readerFollow, readerPoll} {
			for _, slow := range []time.Duration{0, 9 * time.Second} {
				if slow == 0 && reader != readerAuto {
					continue
				}
				t.Run(fmt.Sprint(i, "/", reader, "/", slow), func(t *testing.T) {
					dir, err := os.MkdirTemp("/dev/shm", "stalls") //nolint:usetesting // in memory: of disks it says nothing
					must(t, err)
					defer func() { _ = os.RemoveAll(dir) }()
					all := times{"Reader": reader, "DB": dir + "/db", "Metrics_Listen": "off"}
					for k, v := range opts {
						all[k] = v
					}
					synctest.Test(t, func(t *testing.T) { testNoFalseStalls(t, dir, all, slow) })
				})
			}
		}
	}
}

func testNoFalseStalls(t *testing.T, dir string, opts map[string]string, slow time.Duration) {
	e := dockertest.New(dockertest.InMemory())
	must(t, e.Serve())
	defer e.Close()
	a := startAgent(t, "unix:///simulated", opts, func(c *capture.Config) {
		c.SetDial(func(ctx context.Context) (net.Conn, error) {
			conn, err := e.Dial(ctx)
			return &slowConn{Conn: conn, by: slow, closed: make(chan struct{})}, err
		})
	})
	a.connected()
	cs := []*dockertest.Ctr{e.Run(dockertest.Container{Name: "quiet"}), e.Run(dockertest.Container{Name: "file", LogDir: dir}), e.Run(dockertest.Container{Name: "writes"})}
	const hours = 1
	for i := range hours * 60 {
		cs[2].Stdout(fmt.Sprint(i))
		if i%60 == 0 {
			cs[0].Stdout(fmt.Sprint(i))
			cs[1].Stdout(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
	}
	a.waitFor("the last lines", func() bool { return len(a.waitRecords(0)) >= hours*62 }, 2*time.Hour)
	if n := a.counted("task_stalls_total"); n != 0 {
		t.Errorf("%v stalls", n)
	}
	if n := len(a.waitRecords(0)); n != hours*62 {
		t.Errorf("%d records", n)
	}
	a.waitFor("the health", func() bool { return a.col.Health().Ready }, time.Hour)
	a.stop()
}
