package dockertest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"go.uber.org/goleak"

	"fluent-bit-docker-logs/capture/dockertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds a wait; a test that runs into it has failed.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dial(t testing.TB, e *dockertest.Engine, opts ...client.Opt) *client.Client {
	t.Helper()
	cli, err := client.NewClientWithOpts(append([]client.Opt{client.WithHost(e.Host()), client.WithAPIVersionNegotiation()}, opts...)...)
	must(t, err)
	t.Cleanup(func() { _ = cli.Close() })
	return cli
}

func openLog(t *testing.T, cli *client.Client, id string, opts container.LogsOptions) io.ReadCloser {
	t.Helper()
	opts.ShowStdout, opts.ShowStderr = true, true
	body, err := cli.ContainerLogs(within(t), id, opts)
	must(t, err)
	t.Cleanup(func() { _ = body.Close() })
	return body
}

// frame is one stdcopy frame.
type frame struct {
	std  byte
	text string
}

// readFrame is an own reader, since stdcopy.StdCopy joins frames.
func readFrame(r io.Reader) (frame, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return frame{}, err
	}
	text := make([]byte, binary.BigEndian.Uint32(h[4:]))
	_, err := io.ReadFull(r, text)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return frame{h[0], string(text)}, err
}

func readFrames(t *testing.T, r io.Reader) (fs []frame) {
	t.Helper()
	for {
		f, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return fs
		}
		must(t, err)
		fs = append(fs, f)
	}
}

func readLog(t *testing.T, cli *client.Client, id string, opts container.LogsOptions) []frame {
	t.Helper()
	body := openLog(t, cli, id, opts)
	defer func() { _ = body.Close() }()
	return readFrames(t, body)
}

// texts joins the payloads with "|", line ends as "$".
func texts(fs []frame) string {
	var s []string
	for _, f := range fs {
		s = append(s, strings.ReplaceAll(f.text, "\n", "$"))
	}
	return strings.Join(s, "|")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// clock is a clock that the test sets.
type clock struct{ now chan time.Time }

func newClock(at time.Time) *clock {
	c := &clock{make(chan time.Time, 1)}
	c.now <- at
	return c
}

func (c *clock) read() time.Time { t := <-c.now; c.now <- t; return t }
func (c *clock) set(t time.Time) { <-c.now; c.now <- t }
func at(sec, ns int64) time.Time { return time.Unix(1_700_000_000+sec, ns) }
func stamp(t time.Time) string   { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func numbered(dst []byte, i int) []byte { return fmt.Appendf(dst, "line %d", i) }

// expectNumbered reads numbered lines from..to-1 and nothing else.
func expectNumbered(t *testing.T, r io.Reader, from, to int) {
	t.Helper()
	var want []byte
	for i := from; i < to; i++ {
		f, err := readFrame(r)
		if err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if want = append(numbered(want[:0], i), '\n'); !bytes.Equal([]byte(f.text), want) {
			t.Fatalf("got %q, want %q", f.text, want)
		}
	}
}
