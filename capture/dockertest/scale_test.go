package dockertest_test

import (
	"bufio"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/docker/docker/api/types/container"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestTenThousandContainersNeedNoGoroutines(t *testing.T) {
	e := dockertest.Start(t)
	before := runtime.NumGoroutine()
	for range 10_000 {
		e.Run(dockertest.Container{}).Stdout("one line")
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, before %d", n, before)
	}
	list, err := dial(t, e).ContainerList(within(t), container.ListOptions{})
	must(t, err)
	equal(t, "listed", len(list), 10_000)
}

// A big log is read while it grows, through two ends and several starts of the container.
func TestMillionRecords(t *testing.T) {
	const n, more = 1_000_000, 100_000
	e := dockertest.Start(t)
	c := e.Run(dockertest.Container{})
	c.Flood(dockertest.Stdout, n, numbered)
	cli := dial(t, e)
	body := openLog(t, cli, c.ID, container.LogsOptions{Follow: true})
	r := bufio.NewReaderSize(body, 64<<10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Flood(dockertest.Stdout, more, func(dst []byte, i int) []byte { return numbered(dst, n+i) })
		c.Stop()
	}()
	expectNumbered(t, r, 0, n+more)
	<-done
	if _, err := readFrame(r); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	equal(t, "tail", texts(readLog(t, cli, c.ID, container.LogsOptions{Tail: "1"})), "line 1099999$")
}

func BenchmarkFollow(b *testing.B) {
	e := dockertest.Start(b)
	c := e.Run(dockertest.Container{})
	line := make([]byte, 130)
	for i := range line {
		line[i] = 'x'
	}
	c.Flood(dockertest.Stdout, b.N, func(dst []byte, _ int) []byte { return append(dst, line...) })
	cli := dial(b, e)
	b.SetBytes(130)
	b.ReportAllocs()
	b.ResetTimer()
	body, err := cli.ContainerLogs(b.Context(), c.ID, container.LogsOptions{ShowStdout: true, Timestamps: true})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		b.Fatal(err)
	}
	_ = body.Close()
}
