package capture

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"fluent-bit-docker-logs/capture/decode"
	"fluent-bit-docker-logs/capture/position"
	"fluent-bit-docker-logs/docker/enginetest"
)

// enginePID is the process that listens on the Engine's socket.
func enginePID(tb testing.TB, host string) int {
	conn, err := net.Dial("unix", strings.TrimPrefix(host, "unix://"))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil || err != nil {
		tb.Fatal(cerr, err)
	}
	return int(cred.Pid)
}

// cpuOf is the CPU time of a process's live threads, in nanoseconds.
func cpuOf(tb testing.TB, pid int) (ns int64) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		tb.Fatal(err, "no threads")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		n, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		ns += n
	}
	return ns
}

// stoppedContainer has a log of n lines and does not run any more.
func stoppedContainer(b *testing.B, e *enginetest.Engine, n, size int) *enginetest.Container {
	c := e.Run(b, enginetest.Options{Args: []string{"-lines", fmt.Sprint(n), "-size", fmt.Sprint(size)}})
	c.Wait()
	return c
}

func engineStream(b *testing.B, e *enginetest.Engine, id string, pos position.Position) *stream {
	col, err := New(testConfig(b, e.Host, nil), slog.New(slog.DiscardHandler), prometheus.NewRegistry(), func() {})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = col.Close() })
	if _, err := col.api.Connect(b.Context()); err != nil {
		b.Fatal(err)
	}
	c, err := col.api.Inspect(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return newStream(col, c, pos)
}

// readAll reads to the end of the log and returns how many records came.
func readAll(b *testing.B, s *stream) (records int) {
	done := make(chan error, 1)
	go func() { done <- (&followReader{api: s.col.api}).read(context.Background(), s, false) }()
	take := func() {
		for batch := s.col.out.Next(); batch != nil; batch = s.col.out.Next() {
			records += batch.Records
			s.col.out.Appended()
		}
	}
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			take()
			return records
		case <-time.After(time.Millisecond):
			take()
		}
	}
}

// What it costs the Engine to resume at a position 100 lines before the end of
// a log of 200 MB, and what the same costs with since= alone.
func BenchmarkEngineResume(b *testing.B) {
	for _, e := range enginetest.All(b) {
		const lines, fresh = 1_000_000, 100
		c := stoppedContainer(b, e, lines, 120) // some 205 MB on disk
		s := engineStream(b, e, c.ID, position.Position{Kind: position.FromTail, Tail: fresh + 50})
		pid := enginePID(b, e.Host)

		// The position: behind all but the last lines.
		var anchor position.Position
		n := 0
		f := &followReader{api: s.col.api}
		log, err := f.request(b.Context(), s, false, fresh+50, &position.Position{})
		if err != nil {
			b.Fatal(err)
		}
		err = f.records(b.Context(), s, log, position.NewResync(&s.pos, fresh+50), func(e *decode.Entry) error {
			if n++; n <= 50 {
				anchor.Advance(position.MarkOf(e))
			}
			return nil
		})
		log.close()
		if err != nil || n != fresh+50 {
			b.Fatal(n, err)
		}
		b.Run("anchored/Engine "+e.Version, func(b *testing.B) {
			before := cpuOf(b, pid)
			for b.Loop() {
				s.pos = anchor
				if got := readAll(b, s); got != fresh {
					b.Fatalf("%d records", got)
				}
			}
			b.ReportMetric(float64(cpuOf(b, pid)-before)/1e6/float64(b.N), "engine-ms/op")
		})
		b.Run("since/Engine "+e.Version, func(b *testing.B) {
			since := time.Unix(0, anchor.Anchor.Newest().TS)
			before := cpuOf(b, pid)
			for b.Loop() {
				body, err := e.ContainerLogs(b.Context(), c.ID, containertypes.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true,
					Since: fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond()), Tail: "all"})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				_ = body.Close()
			}
			b.ReportMetric(float64(cpuOf(b, pid)-before)/1e6/float64(b.N), "engine-ms/op")
		})
	}
}
